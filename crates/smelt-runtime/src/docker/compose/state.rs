//! How far services are.

use bollard::models::{ContainerInspectResponse, HealthStatusEnum};
use smelt_core::manifest::{Service, ServiceCondition, ServiceDependencies};
use std::collections::BTreeMap;
use tokio::sync::watch;

/// How far a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its turn has not come.
    Waiting,
    /// It runs, and its check has not passed yet.
    Starting,
    /// It runs; its check has passed, where it has one.
    Works,
    /// Its check fails.
    Unhealthy,
    /// It does not run any more.
    Ended { code: i64, out_of_memory: bool },
}

impl State {
    /// The word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting for others",
            Self::Starting => "starting",
            Self::Works => "running",
            Self::Unhealthy => "unhealthy",
            Self::Ended { .. } => "ended",
        }
    }
}

/// How far each is, by name.
pub(super) type States = BTreeMap<String, State>;

/// Whether what `service` depends on is so far that it may start.
pub(super) fn may_start(service: &Service, states: &States) -> bool {
    let far_enough = |name: &str, condition: ServiceCondition| {
        let state = states.get(name).copied().unwrap_or(State::Waiting);
        match condition {
            ServiceCondition::ServiceStarted => state != State::Waiting,
            ServiceCondition::ServiceHealthy => state == State::Works,
            ServiceCondition::ServiceCompletedSuccessfully => {
                matches!(state, State::Ended { code: 0, .. })
            }
        }
    };
    match service.depends_on.as_deref() {
        None => true,
        Some(ServiceDependencies::Names(names)) => {
            names.iter().all(|name| far_enough(name, ServiceCondition::ServiceStarted))
        }
        Some(ServiceDependencies::Conditions(conditions)) => {
            conditions.iter().all(|(name, of)| far_enough(name, of.condition))
        }
    }
}

/// Takes `found` for how far the service `name` is; what was asked before and is told later changes
/// nothing: no service starts twice.
pub(super) fn advance(states: &watch::Sender<States>, name: &str, found: State) {
    states.send_if_modified(|states| {
        let Some(state) = states.get_mut(name) else { return false };
        let is_late = match *state {
            State::Ended { .. } => true,
            State::Works | State::Unhealthy => found == State::Starting,
            State::Waiting | State::Starting => false,
        };
        let changes = !is_late && *state != found;
        if changes {
            *state = found;
        }
        changes
    });
}

/// What an inspection tells; `None` where it was never started.
pub(super) fn state_of(found: &ContainerInspectResponse) -> Option<State> {
    use bollard::models::ContainerStateStatusEnum as Status;
    let state = found.state.as_ref()?;
    let health = state.health.as_ref().and_then(|health| health.status);
    match state.status? {
        Status::EXITED | Status::DEAD | Status::REMOVING | Status::STOPPING => Some(State::Ended {
            code: state.exit_code.unwrap_or(-1),
            out_of_memory: state.oom_killed.unwrap_or(false),
        }),
        Status::RUNNING | Status::PAUSED | Status::RESTARTING => Some(match health {
            None
            | Some(HealthStatusEnum::EMPTY | HealthStatusEnum::NONE | HealthStatusEnum::HEALTHY) => {
                State::Works
            }
            Some(HealthStatusEnum::STARTING) => State::Starting,
            Some(HealthStatusEnum::UNHEALTHY) => State::Unhealthy,
        }),
        Status::EMPTY | Status::CREATED => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_late_changes_nothing() {
        let ended = State::Ended { code: 1, out_of_memory: false };
        let (states, seen) = watch::channel(States::from([("db".into(), State::Waiting)]));
        for (found, then) in [
            (State::Works, State::Works),
            (State::Starting, State::Works),
            (State::Unhealthy, State::Unhealthy),
            (State::Works, State::Works),
            (ended, ended),
            (State::Works, ended),
        ] {
            advance(&states, "db", found);
            assert_eq!(seen.borrow()["db"], then);
        }
    }

    #[test]
    fn a_service_waits_for_as_much_as_it_names() {
        let service = |depends_on: &str| {
            let text = format!("name = \"app\"\nimage = \"i\"\ndepends_on = {depends_on}");
            toml::from_str::<Service>(&text).unwrap()
        };
        let at = |state| States::from([("db".to_owned(), state)]);
        let done = State::Ended { code: 0, out_of_memory: false };
        let cases = [State::Waiting, State::Starting, State::Works, done];
        let may = |depends_on: &str| cases.map(|state| may_start(&service(depends_on), &at(state)));
        let on = |condition: &str| format!("{{ db = {{ condition = \"{condition}\" }} }}");
        assert_eq!(may("[\"db\"]"), [false, true, true, true]);
        assert_eq!(may(&on("service_started")), [false, true, true, true]);
        assert_eq!(may(&on("service_healthy")), [false, false, true, false]);
        assert_eq!(may(&on("service_completed_successfully")), [false, false, false, true]);
    }
}
