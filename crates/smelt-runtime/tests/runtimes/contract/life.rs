use super::{Subject, sh};
use smelt_core::id::OwnerId;
use smelt_core::port::{CheckState, Discard};

pub async fn a_runtime_that_works_says_so(subject: &Subject) {
    let readiness = subject.runtime.check().await;
    assert_eq!(readiness.missing(), None);
    assert!(readiness.checks.iter().any(|check| check.state == CheckState::Good));
}

pub async fn destroying_leaves_nothing_and_may_be_done_again(subject: &Subject) {
    let spec = subject.spec("");
    let sandbox = subject.runtime.provision(&spec, &mut Discard).await.unwrap();
    assert!(sh(&*sandbox, "touch ~/x; mkdir -p ~/a/b; chmod 0 ~/a").await.0.success());
    sandbox.destroy().await.unwrap();
    sandbox.destroy().await.unwrap();
    drop(sandbox);
    subject.runtime.reap(&spec.labels.owner, &spec.labels.run).await.unwrap();
    assert_eq!(subject.runtime.list(&subject.owner).await.unwrap(), []);
}

/// What a process that died has left is found by its labels, and others' is not touched.
pub async fn orphans_are_listed_and_reaped_by_label(subject: &Subject) {
    let (spec, other) = (subject.spec(""), subject.spec(""));
    let abandoned = subject.runtime.provision(&spec, &mut Discard).await.unwrap();
    let foreign = subject.runtime.provision(&other, &mut Discard).await.unwrap();
    assert!(sh(&*abandoned, "mkdir ~/a && touch ~/a/b && chmod 0 ~/a").await.0.success());
    let mut runs: Vec<_> =
        subject.runtime.list(&subject.owner).await.unwrap().into_iter().map(|o| o.run).collect();
    runs.sort();
    let mut expected = [spec.labels.run.clone(), other.labels.run.clone()];
    expected.sort();
    assert_eq!(runs, expected);
    assert_eq!(subject.runtime.list(&OwnerId::random()).await.unwrap(), []);
    subject.runtime.reap(&subject.owner, &spec.labels.run).await.unwrap();
    let left = subject.runtime.list(&subject.owner).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|orphan| orphan.run).collect();
    assert_eq!(left, std::slice::from_ref(&other.labels.run));
    assert!(sh(&*foreign, "echo still there").await.0.success());
    foreign.destroy().await.unwrap();
    subject.runtime.reap(&subject.owner, &other.labels.run).await.unwrap();
    // What is not there is as good as reaped.
    subject.runtime.reap(&subject.owner, &spec.labels.run).await.unwrap();
    drop(abandoned);
}

pub async fn what_it_can_not_do_is_refused_and_leaves_nothing(subject: &Subject) {
    let spec = subject.spec("user = \"nobody-of-that-name\"");
    let refused = subject.runtime.provision(&spec, &mut Discard).await;
    assert!(refused.is_err());
    subject.runtime.reap(&subject.owner, &spec.labels.run).await.unwrap();
    assert_eq!(subject.runtime.list(&subject.owner).await.unwrap(), []);
}
