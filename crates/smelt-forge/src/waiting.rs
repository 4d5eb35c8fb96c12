//! How long a forge wants to be left alone.

use crate::transport::Headers;
use jiff::Timestamp;
use std::time::Duration;

/// Longest time until a point in time that a forge names: the longest window of a rate limit. Clocks
/// that are wrong by a day are not.
const WINDOW_MAX: Duration = Duration::from_secs(3600);

/// Longest time that a forge can ask for in so many words.
const WAIT_MAX: Duration = Duration::from_secs(86_400);

/// When the forge wants to be asked again, counted from its own clock where it tells that, else
/// from `now`. `None` where it does not say, or where that time has passed.
pub(crate) fn retry_after(headers: &Headers, now: Timestamp) -> Option<Duration> {
    let now = headers.date.as_deref().and_then(http_date).unwrap_or(now);
    let until = |then: Timestamp| {
        let seconds = then.as_second().checked_sub(now.as_second())?;
        let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
        Some(Duration::from_secs(seconds).min(WINDOW_MAX))
    };
    let asked = headers.retry_after.as_deref().and_then(|text| match text.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => http_date(text).and_then(until),
    });
    let reset = || {
        let spent = headers.remaining.as_deref().is_some_and(|left| left.trim() == "0");
        let reset = headers.reset.as_deref().filter(|_| spent)?.trim().parse().ok()?;
        until(Timestamp::from_second(reset).ok()?)
    };
    asked.or_else(reset).map(|wait| wait.min(WAIT_MAX))
}

fn http_date(text: &str) -> Option<Timestamp> {
    Some(jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(retry_after: &str, remaining: &str, reset: &str, date: &str) -> Headers {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Headers {
            retry_after: some(retry_after),
            remaining: some(remaining),
            reset: some(reset),
            date: some(date),
            ..Headers::default()
        }
    }

    #[test]
    fn waiting_times_are_read_from_either_header_and_capped() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = Timestamp::from_second(784_111_777).unwrap();
        for (retry_after_, remaining, reset, date, seconds) in [
            ("", "", "", "", None),
            ("7", "", "", "", Some(7)),
            (" 7 ", "0", "784111877", "", Some(7)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", "", "", "", Some(60)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", "", "", "", None),
            ("soon", "", "", "", None),
            ("-5", "", "", "", None),
            ("7200", "", "", "", Some(7200)),
            ("99999999", "", "", "", Some(86_400)),
            ("99999999999999999999999999", "", "", "", None),
            ("", "0", "784111877", "", Some(100)),
            ("", "3", "784111877", "", None),
            ("", "0", "784111000", "", None),
            ("", "0", "x", "", None),
            ("", "0", "9223372036854775807", "", None),
            // This machine's clock is a day behind, or a day ahead.
            ("", "0", "784198277", "Mon, 07 Nov 1994 08:49:37 GMT", Some(100)),
            ("", "0", "784025477", "Sat, 05 Nov 1994 08:49:37 GMT", Some(100)),
            // The forge's is, and it does not tell.
            ("", "0", "784198277", "", Some(3600)),
        ] {
            let headers = headers(retry_after_, remaining, reset, date);
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(&headers, now), expected, "{headers:?}");
        }
    }
}
