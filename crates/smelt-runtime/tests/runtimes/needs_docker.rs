//! The `docker` runtime, with its workspace mounted and streamed, and the `compose` runtime.

use crate::contract::Subject;
use smelt_core::id::OwnerId;
use smelt_runtime::compose::ComposeRuntime;
use smelt_runtime::docker::{DockerRuntime, EngineConfig};

fn docker(streaming: bool) -> Subject {
    let folder = tempfile::tempdir().unwrap();
    let config = EngineConfig { config_dir: folder.path().into(), ..EngineConfig::default() };
    let runtime = DockerRuntime::new(config, folder.path().into());
    let runtime = if streaming { runtime.streaming() } else { runtime };
    let environment = "image = \"smelt-test/base\"\npull = \"never\"";
    Subject { runtime: Box::new(runtime), environment, folder, owner: OwnerId::random() }
}

fn compose() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    let config = EngineConfig {
        config_dir: folder.path().into(),
        path: "/usr/bin:/bin".into(),
        ..EngineConfig::default()
    };
    let runtime = ComposeRuntime::new(config, folder.path().into());
    let environment = "runtime = \"compose\"\nimage = \"smelt-test/base\"\npull = \"never\"";
    Subject { runtime: Box::new(runtime), environment, folder, owner: OwnerId::random() }
}

mod mounted {
    fn mounted() -> crate::contract::Subject {
        super::docker(false)
    }
    crate::whole_contract!(super::mounted);
}

mod streamed {
    fn streamed() -> crate::contract::Subject {
        super::docker(true)
    }
    crate::whole_contract!(super::streamed);
}

mod composed {
    fn composed() -> crate::contract::Subject {
        super::compose()
    }
    crate::whole_contract!(super::composed);
}
