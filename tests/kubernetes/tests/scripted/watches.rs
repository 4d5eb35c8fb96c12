//! Watches end, and are told to begin anew.

use crate::client::{made, pods, with};
use futures::TryStreamExt;
use kube::Error;
use kube::api::{ListParams, WatchEvent, WatchParams};
use smelt_testing_kubernetes::{Fault, ScriptedCluster};

#[test]
fn a_watch_goes_on_from_a_list_and_has_bookmarks() {
    let cluster = ScriptedCluster::start();
    with(&cluster, async |client| {
        let list = pods(&client).list(&ListParams::default()).await.unwrap();
        let from = list.metadata.resource_version.unwrap();
        made(&client, "one", "Running").await;
        let params = WatchParams::default().timeout(3);
        let events: Vec<_> =
            pods(&client).watch(&params, &from).await.unwrap().try_collect().await.unwrap();
        assert!(matches!(events.first(), Some(WatchEvent::Added(_))), "{events:?}");
        let marked = events.iter().any(|event| matches!(event, WatchEvent::Bookmark(_)));
        assert!(marked, "{events:?}");
    });
}

#[test]
fn a_running_watch_is_gone_or_ends() {
    let cluster = ScriptedCluster::start();
    with(&cluster, async |client| {
        let from = made(&client, "one", "Running").await.metadata.resource_version.unwrap();
        let params = WatchParams::default().timeout(20);
        let mut events = Box::pin(pods(&client).watch(&params, &from).await.unwrap());
        cluster.fault(Fault::watch_gone());
        let event = events.try_next().await.unwrap();
        let Some(WatchEvent::Error(status)) = event else { panic!("{event:?}") };
        assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
        assert!(events.try_next().await.unwrap().is_none());
        let mut events = Box::pin(pods(&client).watch(&params, &from).await.unwrap());
        cluster.fault(Fault::watch_ends());
        assert!(events.try_next().await.unwrap().is_none());
        let mut events = Box::pin(pods(&client).watch(&params, "3").await.unwrap());
        assert!(matches!(events.try_next().await.unwrap(), Some(WatchEvent::Error(_))));
        cluster.fault(Fault::watch_gone_http());
        let Err(Error::Api(status)) = pods(&client).watch(&params, &from).await.map(drop) else {
            panic!("it is refused")
        };
        assert_eq!(status.code, 410);
        let initial = WatchParams::default().initial_events();
        let Err(Error::Api(status)) = pods(&client).watch(&initial, "0").await.map(drop) else {
            panic!("it is refused")
        };
        assert_eq!(status.code, 422);
    });
}
