use crate::fault::{Fault, Faulty};
use smelt_core::engine::Engine;
use smelt_core::event::{Event, JobEvent, Phase, channel};
use smelt_core::git::{Git, Limits};
use smelt_core::id::{OwnerId, RunId};
use smelt_core::manifest::{Manifest, RuntimeKind};
use smelt_core::outcome::{Conclusion, FailureKind, Outcome};
use smelt_core::port::{Cancellation, JobRequest, JobRunner, Runtime};
use smelt_runtime::local::{LocalConfig, LocalRuntime};
use smelt_testing::{Home, TestRepo};
use std::sync::Arc;

struct Bench {
    home: Home,
    streaming: bool,
    fault: Fault,
}

struct Ran {
    conclusion: Conclusion,
    events: Vec<Event>,
    run: RunId,
}

impl Bench {
    fn new(fault: Fault) -> Self {
        Self { home: Home::new(), streaming: false, fault }
    }

    fn runtime(&self) -> LocalRuntime {
        let runtime = LocalRuntime::new(LocalConfig {
            scratch: self.home.path().join("scratch"),
            cache: self.home.path().join("cache"),
            path: Home::search_path(),
            home: self.home.home(),
            accept_unsandboxed: false,
        });
        if self.streaming { runtime.streaming() } else { runtime }
    }

    fn engine(&self, runtime: Arc<dyn Runtime>) -> Engine {
        Engine {
            git: Git::new("git", self.home.environment()),
            runtimes: [(RuntimeKind::Local, runtime)].into(),
            forges: Default::default(),
            scratch: self.home.path().join("scratch"),
            cache: self.home.path().join("cache"),
            limits: Limits::default(),
        }
    }

    fn request(&self, job: &str, agent: &str) -> JobRequest {
        let text = format!(
            "[job]\nname = \"job\"\nrepo = \"repo\"\n{job}\n[environment]\nruntime = \"local\"\n\
             [orchestrator]\nkind = \"direct\"\ncommand = '''{agent} # AGENT'''\n\
             [[session]]\nname = \"one\"\nspec = \"x\"\nharness = \"true\"\ntimeout = 60\n"
        );
        JobRequest {
            run: RunId::new(jiff::Timestamp::now()),
            owner: OwnerId::random(),
            manifest: Manifest::parse(&text, "job", self.home.path(), None).unwrap().0,
            secrets: Default::default(),
            keep: false,
            deliver: true,
            bundle: self.home.path().join("result.bundle"),
            pulls: self.home.path().join("pulls"),
        }
    }

    /// Runs a job; `meet` is called with the ways to stop it once the fault is met.
    async fn run(&self, job: &str, agent: &str, meet: impl FnOnce(&Cancellation)) -> Ran {
        let faulty = Arc::new(Faulty::new(self.runtime(), self.fault));
        let met = faulty.met.clone();
        let runtime: Arc<dyn Runtime> = faulty;
        let engine = self.engine(Arc::clone(&runtime));
        let request = self.request(job, agent);
        let (run, owner) = (request.run.clone(), request.owner.clone());
        let cancellation = Cancellation::default();
        let (sink, mut stream) = channel();
        let stopping = async {
            met.cancelled().await;
            meet(&cancellation);
            std::future::pending::<()>().await;
        };
        let conclusion = tokio::select! {
            conclusion = engine.run(request, sink, cancellation.clone()) => conclusion,
            () = stopping => unreachable!(),
        };
        let mut events = Vec::new();
        while let Some(event) = stream.try_recv() {
            events.push(event);
        }
        assert_eq!(runtime.list(&owner).await.unwrap(), [], "something is left");
        let last = events.last().unwrap();
        assert!(
            matches!(&last.what, JobEvent::RunFinished { conclusion: told, .. } if *told == conclusion)
        );
        Ran { conclusion, events, run }
    }
}

fn phases(events: &[Event]) -> Vec<Phase> {
    let phases = events.iter().filter_map(|event| match event.what {
        JobEvent::Phase { phase } => Some(phase),
        _ => None,
    });
    phases.collect()
}

const WORK: &str = "echo work > work.txt";

#[tokio::test]
async fn a_good_run_goes_through_every_phase_once() {
    let bench = Bench::new(Fault::None);
    let repo = TestRepo::new(&bench.home, "repo");
    let ran = bench.run("", WORK, |_| {}).await;
    assert_eq!(ran.conclusion.outcome, Outcome::Complete);
    use Phase::{Collecting, Delivering, Executing, Preparing, Provisioning, TearingDown};
    let all = [Preparing, Provisioning, Executing, Collecting, Delivering, TearingDown];
    assert_eq!(phases(&ran.events), all);
    assert_eq!(repo.git(&["show", "smelt/job:work.txt"]), "work");
}

#[tokio::test]
async fn a_workspace_can_be_streamed() {
    let mut bench = Bench::new(Fault::None);
    bench.streaming = true;
    let repo = TestRepo::new(&bench.home, "repo");
    for n in 0..60 {
        repo.write("n.txt", format!("{n}"));
        repo.commit(&format!("{n}"));
    }
    let agent = "git rev-list --count HEAD > count.txt; ls /smelt > ls.txt";
    let ran = bench.run("", agent, |_| {}).await;
    assert_eq!(ran.conclusion.outcome, Outcome::Complete, "{:?}", ran.conclusion);
    assert_eq!(repo.git(&["show", "smelt/job:count.txt"]), "50");
    assert!(!repo.git(&["show", "smelt/job:ls.txt"]).contains("objects"));
    let ran = bench.run("depth = 3", agent, |_| {}).await;
    assert_eq!(ran.conclusion.outcome, Outcome::Complete);
    assert_eq!(repo.git(&["show", "smelt/job:count.txt"]), "3");
}

#[tokio::test]
async fn the_job_s_deadline_covers_provisioning() {
    let bench = Bench::new(Fault::ProvisionHangs);
    TestRepo::new(&bench.home, "repo");
    let ran = bench.run("timeout = 1", WORK, |_| {}).await;
    assert_eq!(ran.conclusion.outcome, Outcome::TimedOut);
    assert_eq!(phases(&ran.events).last(), Some(&Phase::TearingDown));
}

#[tokio::test]
async fn a_stop_ends_provisioning() {
    let bench = Bench::new(Fault::ProvisionHangs);
    TestRepo::new(&bench.home, "repo");
    let ran = bench.run("", WORK, |cancellation| cancellation.stop.cancel()).await;
    assert_eq!(ran.conclusion.outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn a_panic_is_a_failure_and_the_half_made_sandbox_is_removed() {
    let bench = Bench::new(Fault::ProvisionPanics);
    TestRepo::new(&bench.home, "repo");
    let ran = bench.run("", WORK, |_| {}).await;
    let failure = ran.conclusion.failure.unwrap();
    assert!(failure.message.contains("a defect in the runtime"), "{failure:?}");
    assert_eq!(ran.conclusion.outcome, Outcome::Failed);
}

#[tokio::test]
async fn a_runtime_that_is_not_there_is_told_with_what_to_do() {
    let bench = Bench::new(Fault::Unavailable);
    TestRepo::new(&bench.home, "repo");
    let ran = bench.run("", WORK, |_| {}).await;
    let failure = ran.conclusion.failure.unwrap();
    assert_eq!(
        (failure.kind, failure.hint.as_deref()),
        (FailureKind::Unavailable, Some("start it"))
    );
}

#[tokio::test]
async fn work_is_brought_out_of_a_sandbox_that_died() {
    let bench = Bench::new(Fault::DiesAfterAgent);
    let repo = TestRepo::new(&bench.home, "repo");
    let ran = bench.run("", WORK, |_| {}).await;
    assert_eq!(ran.conclusion.outcome, Outcome::Failed);
    let failure = ran.conclusion.failure.unwrap();
    assert!(failure.message.contains("the sandbox is gone"), "{failure:?}");
    let kept = format!("refs/smelt/runs/{}/one:work.txt", ran.run);
    assert_eq!(repo.git(&["show", &kept]), "work");
}

#[tokio::test]
async fn an_abort_ends_bringing_the_work_out() {
    let bench = Bench::new(Fault::BundleHangs);
    let repo = TestRepo::new(&bench.home, "repo");
    let ran = bench
        .run("", WORK, |cancellation| {
            cancellation.stop.cancel();
            cancellation.abort.cancel();
        })
        .await;
    assert_eq!(ran.conclusion.outcome, Outcome::Cancelled);
    assert!(!repo.refs().contains("refs/heads/smelt"));
}

#[tokio::test]
async fn the_halves_can_be_called_one_after_the_other() {
    let bench = Bench::new(Fault::None);
    let repo = TestRepo::new(&bench.home, "repo");
    let engine = bench.engine(Arc::new(bench.runtime()));
    let (request, (sink, _stream)) = (bench.request("", WORK), channel());
    let executed = engine.execute(&request, &sink, Cancellation::default()).await;
    assert!(executed.ended().is_none());
    let base = format!("refs/smelt/runs/{}/base", request.run);
    assert!(repo.refs().contains(&base));
    assert!(!repo.refs().contains("refs/heads/smelt"), "{}", repo.refs());
    let conclusion = engine.deliver(&request, executed, &sink).await;
    assert_eq!(conclusion.outcome, Outcome::Complete);
    assert_eq!(repo.git(&["show", "smelt/job:work.txt"]), "work");
    // A run that comes to nothing has ended with its first half, and has been cleaned up.
    let request = bench.request("", "exit 1");
    let executed = engine.execute(&request, &sink, Cancellation::default()).await;
    let conclusion = engine.deliver(&request, executed, &sink).await;
    assert_eq!(conclusion.outcome, Outcome::Failed);
    assert!(!bench.home.path().join("scratch").join(request.owner.as_str()).exists());
}
