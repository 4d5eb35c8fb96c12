use super::*;
use crate::transport::Headers;

const ASKED: Asked<'_> =
    Asked { forge: "git.example.com", action: "open a pull request", what: "repository `a/b`" };

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, body: body.to_owned().into(), ..Answer::default() }
}

fn judged(answer: &Answer) -> Result<(), ForgeError> {
    judge(ASKED, answer, Timestamp::from_second(1_000_000).unwrap())
}

#[test]
fn each_status_has_its_meaning() {
    use ForgeError::*;
    type Fits = fn(&ForgeError) -> bool;
    let table: [(u16, &str, Fits); 26] = [
        (301, "", |e| matches!(e, Moved { .. })),
        (302, "", |e| matches!(e, Moved { .. })),
        (307, "", |e| matches!(e, Moved { .. })),
        (308, "", |e| matches!(e, Moved { .. })),
        (300, "", |e| matches!(e, Unexpected { .. })),
        (304, "", |e| matches!(e, Unexpected { .. })),
        (400, "", |e| matches!(e, Refused { .. })),
        (401, "", |e| matches!(e, Unauthorized { .. })),
        (403, "", |e| matches!(e, Forbidden { .. })),
        (403, r#"{"message":"You have exceeded a Secondary Rate Limit."}"#, |e| {
            matches!(e, RateLimited { retry_after: None, .. })
        }),
        (404, "", |e| matches!(e, NotFound { .. })),
        (405, "", |e| matches!(e, Refused { .. })),
        (408, "", |e| matches!(e, Unavailable { .. })),
        (409, "", |e| matches!(e, Refused { .. })),
        (410, "", |e| matches!(e, Refused { .. })),
        (413, "", |e| matches!(e, Refused { .. })),
        (422, "", |e| matches!(e, Refused { .. })),
        (423, "", |e| matches!(e, Refused { .. })),
        (429, "", |e| matches!(e, RateLimited { .. })),
        (500, "", |e| matches!(e, Unavailable { .. })),
        (502, "<html>", |e| matches!(e, Unavailable { .. })),
        (503, "", |e| matches!(e, Unavailable { .. })),
        (504, "", |e| matches!(e, Unavailable { .. })),
        (599, "", |e| matches!(e, Unavailable { .. })),
        (100, "", |e| matches!(e, Unexpected { .. })),
        (999, "", |e| matches!(e, Unexpected { .. })),
    ];
    for (status, body, fits) in table {
        let error = judged(&answer(status, body)).unwrap_err();
        assert!(fits(&error), "{status}: {error:?}");
        let transient = matches!(status, 408 | 429 | 500..=599) || body.contains("Rate");
        assert_eq!(error.is_transient(), transient, "{status}");
    }
    for status in [200, 201, 204] {
        judged(&answer(status, "")).unwrap();
    }
    let cut = Answer { is_cut: true, ..answer(200, "[") };
    assert!(matches!(judged(&cut), Err(Unexpected { .. })));
}

#[test]
fn a_403_with_a_time_to_wait_is_a_rate_limit() {
    for headers in [
        Headers { retry_after: Some("30".into()), ..Headers::default() },
        Headers {
            remaining: Some("0".into()),
            reset: Some("1000030".into()),
            ..Headers::default()
        },
    ] {
        let error = judged(&Answer { headers, ..answer(403, "") }).unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    }
    let headers = Headers { remaining: Some("17".into()), ..Headers::default() };
    let error = judged(&Answer { headers, ..answer(403, "") }).unwrap_err();
    assert!(matches!(error, ForgeError::Forbidden { .. }));
    let headers = Headers { retry_after: Some("5".into()), ..Headers::default() };
    let error = judged(&Answer { headers, ..answer(503, "") }).unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(5)));
}

#[test]
fn details_are_told_cleaned_and_shortened() {
    for (status, body, said) in [
        (
            422,
            r#"{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom",
                "message":"A pull request already exists for acme:x."},
                {"resource":"PullRequest","field":"base","code":"invalid"},"plain",7]}"#,
            "git.example.com refused to open a pull request: Validation Failed: A pull request \
             already exists for acme:x.; PullRequest base invalid; plain",
        ),
        (
            409,
            r#"{"message":"a\u001b[2Jb\nc","errors":null}"#,
            "git.example.com refused to open a pull request: ab c",
        ),
        (422, "", "git.example.com refused to open a pull request: HTTP 422 Unprocessable Entity"),
        (502, "<html>", "git.example.com could not open a pull request: HTTP 502 Bad Gateway"),
        (
            500,
            r#"{"message":"oh"}"#,
            "git.example.com could not open a pull request: HTTP 500 Internal Server Error: oh",
        ),
        (
            404,
            r#"{"message":"no"}"#,
            "git.example.com knows no repository `a/b`, or does not show it to this token",
        ),
        (
            401,
            r#"{"message":"Bad credentials"}"#,
            "git.example.com refuses the token: Bad credentials",
        ),
    ] {
        assert_eq!(judged(&answer(status, body)).unwrap_err().to_string(), said);
    }
    let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(5000));
    assert!(judged(&answer(422, &long)).unwrap_err().to_string().chars().count() < 400);
}

#[test]
fn no_answer_says_why() {
    let timed_out = unanswered(ASKED, Failure::TimedOut, Duration::from_secs(30));
    let broken = Failure::Broken("Connection refused (os error 111)".into());
    let broken = unanswered(ASKED, broken, Duration::from_secs(30));
    assert!(timed_out.is_transient() && broken.is_transient());
    let said = "git.example.com could not open a pull request: no answer within 30 s";
    assert_eq!(timed_out.to_string(), said);
    let said = "git.example.com could not open a pull request: Connection refused (os error 111)";
    assert_eq!(broken.to_string(), said);
}
