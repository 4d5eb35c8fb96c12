use super::*;
use crate::transport::{Failure, Headers};
use async_trait::async_trait;
use std::sync::Arc;

/// Gives prepared answers, one after the other, and remembers what was asked.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<Vec<Result<Answer, Failure>>>>,
    asked: Arc<Mutex<Vec<Request>>>,
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        self.asked.lock().unwrap().push(request.clone());
        self.answers.lock().unwrap().remove(0)
    }
}

fn api(answers: impl IntoIterator<Item = Answer>) -> (Api, Script) {
    let script = Script::default();
    *script.answers.lock().unwrap() = answers.into_iter().map(Ok).collect();
    (Api::new(script.clone(), "forge.example", Duration::from_secs(1)), script)
}

fn answer(status: u16, body: &str, etag: Option<&str>, total: Option<u64>) -> Answer {
    let headers = Headers { etag: etag.map(str::to_owned), total, ..Headers::default() };
    Answer { status, headers, body: body.to_owned().into(), is_cut: false }
}

const FOR: For<'_> = ("read a list", "list");

#[tokio::test]
async fn an_answer_that_still_holds_is_used_again() {
    let (api, script) = api([
        answer(200, "[1]", Some("\"a\""), None),
        answer(304, "", Some("\"a\""), None),
        answer(200, "[2]", None, None),
        answer(200, "[3]", None, None),
    ]);
    for expected in [[1], [1], [2], [3]] {
        assert_eq!(api.poll::<Vec<u8>>("/x", FOR).await.unwrap(), expected);
    }
    let asked = script.asked.lock().unwrap();
    let etags: Vec<_> = asked.iter().map(|request| request.etag.as_deref()).collect();
    assert_eq!(etags, [None, Some("\"a\""), Some("\"a\""), None]);
}

#[tokio::test]
async fn plain_reads_are_not_conditional() {
    let (api, script) = api([
        answer(200, "[1]", Some("a"), None),
        answer(200, "[2]", None, None),
        answer(304, "", None, None),
    ]);
    api.poll::<Vec<u8>>("/x", FOR).await.unwrap();
    assert_eq!(api.get::<Vec<u8>>("/x", FOR).await.unwrap(), [2]);
    let error = api.get::<Vec<u8>>("/x", FOR).await.unwrap_err();
    assert!(matches!(error, ForgeError::Unexpected { .. }));
    assert!(script.asked.lock().unwrap()[1..].iter().all(|request| request.etag.is_none()));
}

#[tokio::test]
async fn pages_end_where_the_list_does() {
    let page = |n: usize, total| answer(200, &format!("{:?}", vec![0; n]), None, total);
    for (size, answers, entries, requests) in [
        (Some(2), vec![page(2, None), page(1, None)], 3, 2),
        (Some(2), vec![page(2, None), page(0, None)], 2, 2),
        // The server gives fewer than asked for.
        (None, vec![page(2, Some(5)), page(2, Some(5)), page(1, Some(5))], 5, 3),
        (None, vec![page(2, None), page(1, None), page(0, None)], 3, 3),
        (None, vec![page(0, Some(0))], 0, 1),
        (Some(1), vec![page(1, None), page(1, None), page(1, None), page(1, None)], 3, 3),
    ] {
        let (api, script) = api(answers);
        let pages = Pages { path: "/x?limit=2", conditional: false, size, most: 3 };
        assert_eq!(api.pages::<Vec<u8>>(pages, FOR).await.unwrap().len(), entries);
        assert_eq!(script.asked.lock().unwrap().len(), requests);
        assert_eq!(script.asked.lock().unwrap()[0].path, "/x?limit=2&page=1");
    }
}

#[tokio::test]
async fn an_answer_of_another_shape_is_unexpected() {
    for body in ["", "{}", "<html>", "[\"x\"]", "[1"] {
        let (api, _) = api([answer(200, body, None, None)]);
        let error = api.post::<Vec<u8>>("/x", Value::Null, FOR).await.unwrap_err();
        assert!(matches!(error, ForgeError::Unexpected { .. }), "{body}");
    }
}

#[test]
fn branches_are_encoded() {
    assert_eq!(encode("feat/ä b+c~1"), "feat%2F%C3%A4%20b%2Bc~1");
    assert_eq!(encode("../x?y#z%"), "..%2Fx%3Fy%23z%25");
}
