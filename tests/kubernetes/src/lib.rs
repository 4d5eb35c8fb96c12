//! A scripted Kubernetes API server on loopback, for tests that run a real client against it.
//!
//! Pods and network policies are kept in memory and answer as a real API server words it; what a
//! client executes in a pod runs for real, in a `bwrap` jail that has the pod's `emptyDir`
//! volumes. What goes wrong is the test's to say: how the next pod starts ([`Start`]), how a
//! running one ends ([`PodEnd`]), and what befalls a request ([`Fault`]).
//!
//! ```no_run
//! # use smelt_testing_kubernetes::{Fault, PodEnd, ScriptedCluster, Start};
//! let cluster = ScriptedCluster::start();
//! cluster.next_pod(Start::NeverScheduled { message: "0/3 nodes are available".to_owned() });
//! cluster.fault(Fault::watch_ends().times(2));
//! // run a client with cluster.kubeconfig(), and then:
//! cluster.end_pod("smelt-1", PodEnd::OomKilled);
//! assert_eq!(cluster.pods().len(), 1);
//! ```
// This is a test's double: what it can't do, it panics of.
#![allow(clippy::missing_panics_doc)]

mod access;
mod api;
mod cluster;
mod create;
mod delete;
mod end;
mod exec;
mod fault;
mod jail;
mod life;
mod lookup;
mod podstatus;
mod processes;
mod recorded;
mod resource;
mod selector;
mod server;
mod state;
mod status;
mod valid;
mod watch;

pub use cluster::ScriptedCluster;
pub use end::PodEnd;
pub use exec::Protocol;
pub use fault::Fault;
pub use life::Start;
pub use recorded::Request;
