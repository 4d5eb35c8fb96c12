//! The words above the table: where and how it was measured.

use anyhow::Result;
use std::process::Command;

pub fn heading() -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let said = |program: &str, args: &[&str]| -> Result<String> {
        let output = Command::new(program).args(args).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let kernel = said("uname", &["-sr"])?;
    let git = said("git", &["--version"])?;
    let day = jiff::Timestamp::now().strftime("%Y-%m-%d");
    Ok(format!(
        "# What Smelt costs\n\n\
         Written by `just bench` on {day}, on {cores} cores with {kernel}, {git}. Times are wall \
         times, medians of several turns in one run; figures that are ratios travel better \
         between machines than those that are not.\n"
    ))
}
