//! What the engine tells of a container while it lives: which commands have ended, and how; that
//! memory ran out; that it is gone.

use super::engine::Engine;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures::{Stream, StreamExt};
use std::collections::HashMap;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// What has been seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Exit codes by exec.
    pub(super) exits: HashMap<String, i64>,
    /// How often the system took memory back.
    pub(super) out_of_memory: u64,
    /// Why the container is not there any more.
    pub(super) gone: Option<String>,
}

/// Watches one container.
#[derive(Debug)]
pub(super) struct Events {
    seen: watch::Sender<Seen>,
    _task: AbortOnDropHandle<()>,
}

impl Events {
    /// Starts to watch the container `id`, from before it is started.
    pub(super) fn watch(engine: &Engine, id: &str) -> Self {
        let (seen, _) = watch::channel(Seen::default());
        let filters = HashMap::from([
            ("type", vec!["container"]),
            ("container", vec![id]),
            ("event", vec!["exec_die", "exec_died", "oom", "die", "died"]),
        ]);
        let options = EventsOptionsBuilder::default().filters(&filters).build();
        let api = engine.api.clone();
        let told = seen.clone();
        let task = tokio::spawn(async move { follow(api.events(Some(options)), &told).await });
        Self { seen, _task: AbortOnDropHandle::new(task) }
    }

    /// What has been seen, now and from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    /// Takes the exit code of an exec that has ended, so that it is not kept for ever.
    pub(super) fn take_exit(&self, exec: &str) -> Option<i64> {
        let mut code = None;
        self.seen.send_if_modified(|seen| {
            code = seen.exits.remove(exec);
            false
        });
        code
    }
}

async fn follow<E: std::fmt::Display>(
    events: impl Stream<Item = Result<EventMessage, E>>,
    told: &watch::Sender<Seen>,
) {
    let mut events = std::pin::pin!(events);
    let why = loop {
        match events.next().await {
            Some(Ok(event)) => told.send_modify(|seen| take(event, seen)),
            Some(Err(error)) => break format!("the engine tells nothing more: {error}"),
            None => break "the engine has stopped".to_owned(),
        }
    };
    told.send_modify(|seen| {
        seen.gone.get_or_insert(why);
    });
}

fn take(event: EventMessage, seen: &mut Seen) {
    let attributes = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
    let code = |name: &str| attributes.get(name).and_then(|code| code.parse().ok());
    // Podman says "died" where Docker says "die".
    match event.action.as_deref() {
        Some("exec_die" | "exec_died") => {
            if let Some(exec) = attributes.get("execID") {
                seen.exits.insert(exec.clone(), code("exitCode").unwrap_or(-1));
            }
        }
        Some("oom") => seen.out_of_memory += 1,
        Some("die" | "died") => {
            let code = code("exitCode").map(|code: i64| format!(" ({code})")).unwrap_or_default();
            seen.gone = Some(match seen.out_of_memory {
                0 => format!("its container was ended from outside{code}"),
                _ => "its container ended, out of memory (`environment.resources.memory`)".into(),
            });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::EventActor;

    fn event(action: &str, attributes: &[(&str, &str)]) -> EventMessage {
        let attributes = attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        EventMessage {
            action: Some(action.into()),
            actor: Some(EventActor { id: None, attributes: Some(attributes.collect()) }),
            ..EventMessage::default()
        }
    }

    #[tokio::test]
    async fn ends_are_told_apart_and_the_last_word_is_the_first_cause() {
        let (told, seen) = watch::channel(Seen::default());
        let events = [
            event("exec_die", &[("execID", "a"), ("exitCode", "3")]),
            event("exec_start: sh -c x", &[("execID", "b")]),
            event("oom", &[]),
            event("die", &[("exitCode", "137")]),
        ];
        follow(futures::stream::iter(events.map(Ok::<_, String>)), &told).await;
        let seen = seen.borrow().clone();
        assert_eq!(seen.exits, HashMap::from([("a".to_owned(), 3)]));
        assert_eq!(seen.out_of_memory, 1);
        let gone = "its container ended, out of memory (`environment.resources.memory`)";
        assert_eq!(seen.gone.as_deref(), Some(gone));
    }
}
