//! Who is asking: whoever holds the connection, or whom a proxy that we trust names.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::error::Error;
use crate::state::App;

/// The networks whose `X-Forwarded-For` and `X-Forwarded-Proto` count. None by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

/// Addresses that begin with the same bits. One of IPv4 is meant in its IPv6 form, `::ffff:a.b.c.d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    bits: u128,
    length: u32,
}

/// Who asks, and whether they reach us over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    pub address: IpAddr,
    pub is_https: bool,
}

impl TrustedProxies {
    /// Networks (`10.0.0.0/8`, `fd00::/8`) or single addresses with commas between them, or `*` for all. `None` when one is
    /// neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(Network::parse).collect::<Option<_>>().map(Self)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| (network.bits ^ bits(address)).leading_zeros() >= network.length)
    }

    /// Each proxy adds the address it was asked from at the right end, so that is where the truth begins: the first that
    /// is no proxy of ours is the client. What stands left of it anybody can have made up.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        let mut client = Client { address: peer.to_canonical(), is_https: false };
        if !self.trusts(client.address) {
            return client;
        }
        let lines = headers.get_all("x-forwarded-for").iter();
        let named = lines.flat_map(|line| line.to_str().unwrap_or_default().split(','));
        for name in named.rev() {
            let Some(address) = address(name.trim()) else { break };
            client.address = address;
            if !self.trusts(address) {
                break;
            }
        }
        let proto = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
        let first = proto.and_then(|schemes| schemes.split(',').next());
        client.is_https = first.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"));
        client
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self { bits: 0, length: 0 });
        }
        let (address, length) =
            text.split_once('/').map_or((text, None), |(text, length)| (text, Some(length)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length: u32 = length.map_or(Some(most), |length| length.parse().ok())?;
        (length <= most).then(|| Self { bits: bits(address), length: 128 - most + length })
    }
}

impl FromRequestParts<App> for Client {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let ConnectInfo(peer) = peer.ok_or_else(|| Error::Internal("a request without a peer".to_owned()))?;
        let mut client = app.config.trusted_proxies.client(peer.ip(), &parts.headers);
        client.is_https |= app.config.is_https();
        Ok(client)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Some proxies add the port, and brackets around an IPv6 address.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse().map(|address: SocketAddr| address.ip())).ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests;
