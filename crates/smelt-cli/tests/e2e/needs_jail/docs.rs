//! The picture of a run in the README: drawn from a real one (`just docs`).

use crate::env::TestEnv;

const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/run.svg");

/// The words that are the same in every run: no times, ids and commits.
fn without_figures(text: &str) -> String {
    let commit = |word: &str| word.len() == 10 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let figure = |word: &str| word.bytes().any(|b| b.is_ascii_digit()) || commit(word);
    let words = text.split(|c: char| c.is_whitespace() || "<>".contains(c));
    words.filter(|word| !figure(word)).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_picture_of_a_run() {
    let env = TestEnv::new();
    let folder = env.path().join("demo");
    let mut demo = env.command(&["demo", "--dir", folder.to_str().unwrap()]);
    let output = demo.env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(output.status.success());
    let text =
        |bytes| String::from_utf8(bytes).unwrap().replace(env.path().to_str().unwrap(), "/tmp");
    let (told, summary) = (text(output.stderr), text(output.stdout));
    let (told, last) = told.split_once("\nThe result is on").unwrap();
    let all = format!("$ cargo run --release -- demo\n{told}\n{summary}\nThe result is on{last}");
    if std::env::var_os("SMELT_UPDATE_DOCS").is_some() {
        let drawn = anstyle_svg::Term::new().render_svg(&all);
        std::fs::write(PICTURE, drawn).unwrap();
    }
    let picture = std::fs::read_to_string(PICTURE).unwrap();
    let plain = anstyle_svg::Term::new().render_svg(&summary);
    let lines = |svg: &str| -> Vec<String> {
        let texts = svg.lines().filter_map(|line| line.trim().strip_prefix("<tspan"));
        texts.filter_map(|text| Some(without_figures(text.split_once('>')?.1))).collect()
    };
    let drawn = lines(&picture);
    // What a machine can't give is noted on that machine only.
    for line in lines(&plain).into_iter().filter(|line| !line.contains("note ")) {
        assert!(drawn.contains(&line), "docs/run.svg lacks {line:?}: run `just docs`");
    }
}
