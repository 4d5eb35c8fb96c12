//! From nothing to a container in which the first command has run.

use crate::bench::Bench;
use crate::docker::{ENVIRONMENT, middle};
use crate::table::{Row, ms, ratio};
use anyhow::{Context, Result, bail};
use bollard::Docker;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{ContainerCreateBody, HostConfig, Ipam, IpamConfig, NetworkCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptions, RemoveContainerOptionsBuilder, StartContainerOptions,
};
use futures::StreamExt;
use smelt_core::id::{OwnerId, RunId};
use smelt_core::manifest::Manifest;
use smelt_core::port::{Command, Discard, Labels, Runtime, SandboxPaths, SandboxSpec};
use smelt_runtime::docker::{DockerRuntime, EngineConfig};
use std::time::{Duration, Instant};

const TIMES: usize = 15;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let config = EngineConfig::default();
    let runtime = DockerRuntime::new(config, bench.path().join("cache"));
    let (mut by_api, mut own) = (Vec::new(), Vec::new());
    tokio.block_on(async {
        let api = Docker::connect_with_socket_defaults()?.negotiate_version().await?;
        for turn in 0..=TIMES {
            let taken = (by_hand(&api).await?, by_runtime(bench, &runtime).await?);
            if turn > 0 {
                by_api.push(taken.0);
                own.push(taken.1);
            }
        }
        anyhow::Ok(())
    })?;
    let (by_api, own) = (middle(by_api), middle(own));
    Ok(vec![Row {
        what: "a sandbox in docker, up to the end of its first command",
        measured: format!(
            "{}; a network, `create`, `start` and one exec by the API {}",
            ms(own),
            ms(by_api)
        ),
        figure: ratio(own, by_api),
        goal: "≤ 1.2",
    }])
}

async fn by_runtime(bench: &Bench, runtime: &DockerRuntime) -> Result<Duration> {
    let text = format!(
        "[job]\nname = \"start\"\nrepo = \".\"\n[environment]\n{ENVIRONMENT}\n\
         [orchestrator]\nkind = \"direct\"\ncommand = \"true\"\n\
         [[session]]\nname = \"a\"\nspec = \"a\"\nharness = \"true\"\ntimeout = 1\n"
    );
    let Ok((manifest, _)) = Manifest::parse(&text, "start", bench.path(), None) else {
        bail!("the manifest is wrong");
    };
    let run = RunId::new(jiff::Timestamp::now());
    let scratch = bench.path().join("scratch").join(run.as_str());
    let root = scratch.join("root");
    for folder in SandboxPaths::FOLDERS {
        std::fs::create_dir_all(root.join(folder))?;
    }
    let labels = Labels { owner: OwnerId::random(), job: manifest.job.name.clone(), run };
    let spec = SandboxSpec {
        labels,
        environment: manifest.environment,
        scratch,
        root,
        borrowed: Vec::new(),
        cache: None,
        services: Vec::new(),
        kubernetes: None,
        lifetime: Duration::from_secs(600),
    };
    let started = Instant::now();
    let sandbox = runtime.provision(&spec, &mut Discard).await?;
    sandbox.exec(Command::new(["true"], "/"), &mut Discard).await?;
    let taken = started.elapsed();
    sandbox.destroy().await?;
    Ok(taken)
}

async fn by_hand(api: &Docker) -> Result<Duration> {
    let subnet = IpamConfig { subnet: Some("198.19.251.0/28".into()), ..IpamConfig::default() };
    let network = NetworkCreateRequest {
        name: "smelt-bench-start".into(),
        ipam: Some(Ipam { config: Some(vec![subnet]), ..Ipam::default() }),
        ..NetworkCreateRequest::default()
    };
    let body = ContainerCreateBody {
        image: Some("smelt-test/base".into()),
        cmd: Some(vec!["sleep".into(), "60".into()]),
        host_config: Some(HostConfig {
            network_mode: Some("smelt-bench-start".into()),
            init: Some(true),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let started = Instant::now();
    let network = api.create_network(network).await?.id;
    let id = api.create_container(None::<CreateContainerOptions>, body).await?.id;
    api.start_container(&id, None::<StartContainerOptions>).await?;
    let exec = CreateExecOptions {
        cmd: Some(vec!["true"]),
        attach_stdout: Some(true),
        ..CreateExecOptions::default()
    };
    let exec = api.create_exec(&id, exec).await?.id;
    match api.start_exec(&exec, None).await? {
        StartExecResults::Attached { mut output, .. } => while output.next().await.is_some() {},
        StartExecResults::Detached => {}
    }
    let taken = started.elapsed();
    let removal = RemoveContainerOptionsBuilder::default().force(true).build();
    api.remove_container(&id, Some(removal)).await.context("removing the container")?;
    api.remove_network(&network).await?;
    Ok(taken)
}
