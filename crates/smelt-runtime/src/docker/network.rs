//! A network of its own for each run: a small subnet, so that there is room for many.

use super::engine::{ApiError, Engine, labels_of};
use super::reap;
use bollard::errors::Error;
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, NetworkDisconnectRequest};
use smelt_core::port::Labels;
use std::collections::HashMap;
use std::net::Ipv4Addr;

/// How many subnets are tried: others' networks may have taken some.
const TRIES: usize = 20;

/// The lower half of what RFC 2544 sets aside for benchmarks in its upper half: of the ranges that
/// nothing on the internet has, the one that is least used.
const FIRST: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 0);

/// Addresses from [`FIRST`] on.
const ADDRESSES: u32 = 1 << 15;

/// Addresses of a subnet at least. Four of them are no container's: the network itself, its gateway, its
/// broadcasts, and one to spare.
const SIZE: u32 = 16;

/// What a run's network is to be like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'a> {
    pub(super) name: &'a str,
    /// For so many containers.
    pub(super) containers: usize,
    /// Nothing but these is reached.
    pub(super) internal: bool,
}

/// A run's network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) id: String,
    /// Its addresses, in CIDR notation.
    pub(super) subnet: String,
    /// The engine's machine in it.
    pub(super) gateway: Ipv4Addr,
    /// Nothing but its containers is to be reached.
    pub(super) internal: bool,
}

impl Network {
    /// The first and the last of its addresses, by which the engine's machine hears what is sent to all.
    pub(super) fn broadcasts(&self) -> [Ipv4Addr; 2] {
        let bits = self.subnet.rsplit_once('/').and_then(|(_, bits)| bits.parse().ok());
        let first = u32::from(self.gateway) - 1;
        let last = first | u32::MAX.checked_shr(bits.unwrap_or(32)).unwrap_or(0);
        [first, last].map(Ipv4Addr::from)
    }
}

/// One of the subnets of `size` addresses, in CIDR notation, and the gateway in it.
fn subnet(n: u32, size: u32) -> (String, Ipv4Addr) {
    let first = u32::from(FIRST) + n % (ADDRESSES / size) * size;
    (format!("{}/{}", Ipv4Addr::from(first), 32 - size.trailing_zeros()), Ipv4Addr::from(first + 1))
}

/// How many addresses a subnet for so many containers has.
fn size(containers: usize) -> u32 {
    let needed = u32::try_from(containers).unwrap_or(u32::MAX).saturating_add(4);
    needed.clamp(SIZE, ADDRESSES).next_power_of_two()
}

/// A name for a run's network; no other has it, also of the same run.
pub(super) fn name(labels: &Labels) -> String {
    format!("smelt-{}-{:04x}", labels.run, uuid::Uuid::new_v4().as_fields().1)
}

/// Makes the network for the run in a subnet that nobody has.
pub(super) async fn create(
    engine: &Engine,
    plan: Plan<'_>,
    labels: &Labels,
) -> Result<Network, ApiError> {
    let failed = |error| ApiError::new("making a network", error);
    let [a, b, c, d, ..] = *uuid::Uuid::new_v4().as_bytes();
    let start = u32::from_be_bytes([a, b, c, d]);
    let mut refused = None;
    for n in 0..TRIES {
        // A step that shares no factor with the number of subnets meets all of them.
        let (subnet, gateway) = subnet(start.wrapping_add(n as u32 * 811), size(plan.containers));
        let request = request(plan, subnet.clone(), gateway, labels);
        match engine.api.create_network(request).await {
            Ok(made) => {
                let internal = plan.internal;
                return Ok(Network { id: made.id, subnet, gateway, internal });
            }
            Err(error) if is_taken(&error) => refused = Some(error),
            Err(error) => return Err(failed(error)),
        }
    }
    Err(failed(refused.unwrap_or(Error::RequestTimeoutError)))
}

/// Takes `container` out of the network.
pub(super) async fn unplug(
    engine: &Engine,
    network: &str,
    container: &str,
) -> Result<(), ApiError> {
    let request = NetworkDisconnectRequest { container: container.into(), force: Some(true) };
    let unplugged = engine.api.disconnect_network(network, request).await;
    unplugged.map_err(|error| ApiError::new("cutting the sandbox off", error))
}

/// Takes `container` out of the network, and the network away.
pub(super) async fn cut(engine: &Engine, network: &str, container: &str) -> Result<(), ApiError> {
    unplug(engine, network, container).await?;
    reap::remove_network(engine, network).await
}

fn request(
    plan: Plan<'_>,
    subnet: String,
    gateway: Ipv4Addr,
    labels: &Labels,
) -> NetworkCreateRequest {
    let config = IpamConfig {
        subnet: Some(subnet),
        gateway: Some(gateway.to_string()),
        ..IpamConfig::default()
    };
    NetworkCreateRequest {
        name: plan.name.to_owned(),
        driver: Some("bridge".into()),
        internal: Some(plan.internal),
        // The walls know nothing of it.
        enable_ipv6: Some(false),
        ipam: Some(Ipam { config: Some(vec![config]), ..Ipam::default() }),
        labels: Some(labels_of(labels).collect::<HashMap<_, _>>()),
        ..NetworkCreateRequest::default()
    }
}

/// Whether another network has that subnet.
fn is_taken(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { message, .. }
        if message.contains("overlap") || message.contains("already used"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_do_not_overlap_and_stay_in_their_range() {
        assert_eq!(subnet(0, 16), ("198.19.0.0/28".into(), Ipv4Addr::new(198, 19, 0, 1)));
        assert_eq!(subnet(1, 16), ("198.19.0.16/28".into(), Ipv4Addr::new(198, 19, 0, 17)));
        let last = ("198.19.127.240/28".into(), Ipv4Addr::new(198, 19, 127, 241));
        assert_eq!(subnet(2047, 16), last);
        assert_eq!(subnet(2048, 16), subnet(0, 16));
        assert_eq!(subnet(1, 64).0, "198.19.0.64/26");
        assert_eq!([1, 12, 13, 28, 29].map(size), [16, 16, 32, 32, 64]);
    }
}
