//! Which cluster is meant, and the way to it.

use super::error::{chain, unavailable};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use smelt_core::port::SandboxError;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a pod finds its own credentials.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// How long the cluster may take to answer a call.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a pod may wait for a node to have room.
const PATIENCE: Duration = Duration::from_secs(300);

/// Which clusters there are, and where in them runs may have left something.
#[derive(Clone, Debug)]
pub struct KubernetesConfig {
    /// Files of which the kubeconfig is made up: those of `KUBECONFIG`, or `~/.kube/config`. Where none of
    /// them is there, and Smelt itself runs in a pod, that pod's service account is used.
    pub kubeconfig: Vec<PathBuf>,
    /// Contexts (`None`: the current one) and namespaces where runs have had pods, or are to have them: the
    /// first is the one whose rights a check looks at.
    pub places: Vec<(Option<String>, String)>,
    /// How long a pod may wait for a node.
    #[doc(hidden)]
    pub patience: Duration,
}

impl Default for KubernetesConfig {
    fn default() -> Self {
        Self { kubeconfig: Vec::new(), places: Vec::new(), patience: PATIENCE }
    }
}

/// A cluster, and who Smelt is there.
#[derive(Clone)]
pub(super) struct Cluster {
    pub(super) client: Client,
    /// Namespace of whoever names none.
    pub(super) namespace: String,
    /// Its address.
    pub(super) url: String,
    /// How it is called.
    pub(super) context: String,
}

impl KubernetesConfig {
    /// Whether anything leads to a cluster.
    pub(super) fn leads_anywhere(&self) -> bool {
        self.kubeconfig.iter().any(|path| path.exists()) || Path::new(TOKEN).exists()
    }

    /// The way to the cluster of `context`. It is looked up anew each time: credentials change.
    pub(super) async fn connect(&self, context: Option<&str>) -> Result<Cluster, SandboxError> {
        let (mut config, context) = match self.read()? {
            Some(kubeconfig) => {
                let context = self.context(&kubeconfig, context)?;
                let options =
                    KubeConfigOptions { context: Some(context.clone()), ..Default::default() };
                let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
                (config.map_err(|error| self.unusable(&error))?, context)
            }
            None => (in_cluster(context)?, "the pod's own".to_owned()),
        };
        config.connect_timeout = Some(CONNECT);
        let (namespace, url) = (config.default_namespace.clone(), config.cluster_url.to_string());
        // Who logs in by a program waits for it.
        let made = tokio::task::spawn_blocking(move || Client::try_from(config)).await;
        let client = made
            .map_err(|error| SandboxError::failed("connecting to the cluster", error))?
            .map_err(|error| {
                unavailable(
                    format!("the cluster of context `{context}` can't be used: {}", chain(&error)),
                    "see whether `kubectl version` works with the same context",
                )
            })?;
        Ok(Cluster { client, namespace, url, context })
    }

    /// The files' content, the first one's word first.
    fn read(&self) -> Result<Option<Kubeconfig>, SandboxError> {
        let files = self.kubeconfig.iter().filter(|path| path.exists());
        let read = files.map(Kubeconfig::read_from).try_fold(None, |all, next| match all {
            None => next.map(Some),
            Some(all) => Kubeconfig::merge(all, next?).map(Some),
        });
        read.map_err(|error| self.unusable(&error))
    }

    fn unusable(&self, error: &KubeconfigError) -> SandboxError {
        let told = match std::error::Error::source(error) {
            Some(_) => format!("{error}"),
            None => chain(error),
        };
        unavailable(
            format!("the kubeconfig ({}) can't be used: {told}", self.files()),
            "see whether `kubectl config view` can",
        )
    }

    fn context(&self, of: &Kubeconfig, wanted: Option<&str>) -> Result<String, SandboxError> {
        let known: Vec<_> = of.contexts.iter().map(|context| context.name.as_str()).collect();
        let hint = match known.is_empty() {
            true => "it has no contexts at all".to_owned(),
            false => format!("it has these: {}", known.join(", ")),
        };
        let current = of.current_context.as_deref().filter(|name| !name.is_empty());
        match wanted.or(current) {
            Some(name) if known.contains(&name) => Ok(name.to_owned()),
            Some(name) => Err(unavailable(
                format!("the kubeconfig ({}) has no context `{name}`", self.files()),
                hint,
            )),
            None => Err(unavailable(
                format!("the kubeconfig ({}) names no current context", self.files()),
                format!(
                    "name one as `kubernetes.context`, or by `kubectl config use-context`; {hint}"
                ),
            )),
        }
    }

    /// The files, for people.
    pub(super) fn files(&self) -> String {
        let files = self.kubeconfig.iter().map(|path| path.display().to_string());
        files.collect::<Vec<_>>().join(", ")
    }
}

/// The cluster that Smelt itself runs in.
fn in_cluster(context: Option<&str>) -> Result<Config, SandboxError> {
    let hint = "set KUBECONFIG, or write ~/.kube/config";
    match context {
        Some(name) => {
            Err(unavailable(format!("there is no kubeconfig, and so no context `{name}`"), hint))
        }
        None if Path::new(TOKEN).exists() => Config::incluster_dns().map_err(|error| {
            unavailable(format!("the pod's own service account can't be used: {error}"), hint)
        }),
        None => Err(unavailable("there is no kubeconfig", hint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(files: Vec<PathBuf>, context: Option<&str>) -> (String, String) {
        let config = KubernetesConfig { kubeconfig: files, ..KubernetesConfig::default() };
        match config.connect(context).await.err().unwrap() {
            SandboxError::Unavailable { message, hint } => (message, hint.unwrap_or_default()),
            other => panic!("{other}"),
        }
    }

    #[tokio::test]
    async fn what_leads_to_no_cluster_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let (message, _) = refused(vec![path.clone()], None).await;
        assert_eq!(message, "there is no kubeconfig");
        let text = "apiVersion: v1\nkind: Config\ncontexts:\n- name: lab\n  context: {cluster: c, user: u}\n\
                    - name: home\n  context: {cluster: c, user: u}\n";
        std::fs::write(&path, text).unwrap();
        let (message, hint) = refused(vec![path.clone()], Some("work")).await;
        assert!(message.ends_with("has no context `work`"), "{message}");
        assert_eq!(hint, "it has these: lab, home");
        let (message, _) = refused(vec![path.clone()], None).await;
        assert!(message.ends_with("names no current context"), "{message}");
        std::fs::write(&path, "contexts: [").unwrap();
        let (message, _) = refused(vec![path], None).await;
        assert!(message.contains("can't be used"), "{message}");
    }
}
