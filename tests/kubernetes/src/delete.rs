//! Deleting an object, or all that fit.

use crate::fault::{self, Kind};
use crate::lookup;
use crate::processes;
use crate::recorded::value;
use crate::resource::{Resource, Target};
use crate::selector::Selector;
use crate::state::{Key, Shared, State, now};
use crate::status::Reply;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long a pod is seen that ends in its time; a real one takes up to its grace period.
const ENDING: Duration = Duration::from_millis(50);

/// What the caller says of how.
struct Options {
    grace: Option<i64>,
    uid: Option<String>,
    revision: Option<String>,
    dry: bool,
}

impl Options {
    fn of(query: &str, body: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let asked = value(query, "gracePeriodSeconds").and_then(|seconds| seconds.parse().ok());
        Self {
            grace: body["gracePeriodSeconds"].as_i64().or(asked),
            uid: text(&body["preconditions"]["uid"]),
            revision: text(&body["preconditions"]["resourceVersion"]),
            dry: value(query, "dryRun").is_some() || !body["dryRun"][0].is_null(),
        }
    }
}

pub(crate) fn one(shared: &Arc<Shared>, target: &Target, query: &str, body: &Value) -> Reply {
    let (options, key) = (Options::of(query, body), lookup::key(target));
    let mut state = shared.state();
    let Some(object) = state.objects.get(&key).cloned() else {
        return Reply::not_found(key.resource, &key.name);
    };
    if fault::take(&mut state.faults, |kind| *kind == Kind::Conflict).is_some() {
        let why = "the object has been modified; please apply your changes to the latest version \
                   and try again";
        return Reply::conflict(key.resource, &key.name, why);
    }
    let meta = &object["metadata"];
    let wanted = [("UID", "uid", &options.uid)].into_iter().chain([(
        "ResourceVersion",
        "resourceVersion",
        &options.revision,
    )]);
    for (name, field, wanted) in wanted {
        let found = meta[field].as_str().unwrap_or_default();
        if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
            let why = format!(
                "Precondition failed: {name} in precondition: {wanted}, {name} in object meta: \
                 {found}"
            );
            return Reply::conflict(key.resource, &key.name, &why);
        }
    }
    let uid = meta["uid"].clone();
    if options.dry {
        return Reply::ok(object);
    }
    let gone = delete(shared, &mut state, &key, &options);
    if key.resource == Resource::Pods {
        return Reply::ok(gone);
    }
    let details = json!({ "name": key.name, "group": key.resource.group(),
        "kind": key.resource.plural(), "uid": uid });
    Reply::ok(json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": details }))
}

pub(crate) fn all(shared: &Arc<Shared>, selector: &Selector, query: &str, body: &Value) -> Reply {
    let options = Options::of(query, body);
    let mut state = shared.state();
    let reply = lookup::list(&state, selector);
    let fitting = state.objects.iter().filter(|(key, object)| selector.fits(key.resource, object));
    let keys: Vec<Key> = fitting.map(|(key, _)| key.clone()).collect();
    if !options.dry {
        for key in keys {
            delete(shared, &mut state, &key, &options);
        }
    }
    reply
}

/// The object as it is after that.
fn delete(shared: &Arc<Shared>, state: &mut State, key: &Key, options: &Options) -> Value {
    let object = state.objects[key].clone();
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    if key.resource != Resource::Pods {
        return state.remove(key).unwrap_or(object);
    }
    if let Some(cell) = state.cells.get_mut(&uid) {
        cell.runs = false;
    }
    let own = object["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    // Nothing has to come to its end in a pod that no node has, or that has ended.
    let ended = matches!(object["status"]["phase"].as_str(), Some("Failed" | "Succeeded"));
    let at_once = object["spec"]["nodeName"].is_null() || ended;
    let grace = if at_once { 0 } else { options.grace.unwrap_or(own) };
    let shown = if grace == 0 {
        state.remove(key)
    } else {
        if object["metadata"]["deletionTimestamp"].is_null() {
            state.update(key, &uid, |pod| {
                pod["metadata"]["deletionTimestamp"] = json!(now());
                pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
            });
        }
        state.objects.get(key).cloned()
    };
    tokio::spawn(end(Arc::clone(shared), key.clone(), uid, grace > 0));
    shown.unwrap_or(object)
}

/// What the node does: it ends what runs, clears the folders, and says that it is done.
async fn end(shared: Arc<Shared>, key: Key, uid: String, graceful: bool) {
    if graceful {
        tokio::time::sleep(ENDING).await;
    }
    let work = move || {
        processes::end_all(&shared, &uid);
        let mut state = shared.state();
        if state.objects.get(&key).is_some_and(|pod| pod["metadata"]["uid"] == json!(uid)) {
            state.remove(&key);
        }
        let folder = state.cells.get(&uid).map(|cell| cell.folder.clone());
        drop(state);
        if let Some(folder) = folder {
            processes::clear(&folder);
        }
    };
    let _ = tokio::task::spawn_blocking(work).await;
}
