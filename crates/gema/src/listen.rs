//! Taking an address, with errors that say what to do about them.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use tokio::net::TcpListener;

use crate::failure::Failure;

/// An address to listen on, and the settings that it comes from.
#[derive(Debug)]
pub(crate) struct Address<'a> {
    /// A name or number.
    pub(crate) host: &'a str,
    /// 0 takes any free port.
    pub(crate) port: u16,
    /// The variable of the host, for errors.
    pub(crate) host_name: &'static str,
    /// The variable of the port, for errors.
    pub(crate) port_name: &'static str,
}

/// Listens on an address.
pub(crate) fn bind(address: &Address<'_>) -> Result<(TcpListener, SocketAddr), Failure> {
    let Address { host, port, host_name, port_name } = address;
    // `[::1]` is how people write an IPv6 address beside a port.
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let found = (plain, *port).to_socket_addrs().map_err(|error| {
        format!("{host_name} is {host:?}, which is no address of this machine ({error}): set it to one, or to 0.0.0.0")
    })?;
    let mut failed = None;
    for candidate in found {
        match gema_broadcast::bind(candidate).and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((address, listener)) => return Ok((listener, address)),
            Err(error) => failed = Some(error),
        }
    }
    let sentence = match failed {
        Some(error) => match error.kind() {
            ErrorKind::AddrInUse => {
                format!("port {port} on {host} is taken by another program: stop it or set {port_name}")
            }
            ErrorKind::AddrNotAvailable => {
                format!(
                    "{host} is not an address of this machine: set {host_name} to one, or to 0.0.0.0 for all"
                )
            }
            ErrorKind::PermissionDenied => format!(
                "port {port} needs a privilege that this process does not have: set {port_name} to 1024 or more, or \
                 give the program CAP_NET_BIND_SERVICE"
            ),
            _ => format!("port {port} on {host} cannot be listened on: {error}"),
        },
        None => format!("{host_name} is {host:?}, which stands for no address"),
    };
    Err(sentence.into())
}

/// The address under which this machine reaches a listener of its own.
pub(crate) fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_bind(host: &str, port: u16) -> Result<(TcpListener, SocketAddr), String> {
        let address = Address { host, port, host_name: "A_HOST", port_name: "A_PORT" };
        bind(&address).map_err(|failure| failure.to_string())
    }

    #[tokio::test]
    async fn a_free_port_is_taken_and_named() {
        let (_listener, address) = try_bind("127.0.0.1", 0).unwrap();
        assert_ne!(address.port(), 0);
        let error = try_bind("127.0.0.1", address.port()).unwrap_err();
        let port = address.port();
        let expected =
            format!("gema: port {port} on 127.0.0.1 is taken by another program: stop it or set A_PORT\n");
        assert_eq!(error, expected);
    }

    #[tokio::test]
    async fn a_foreign_address_is_named_with_its_setting() {
        let error = try_bind("192.0.2.1", 0).unwrap_err();
        assert!(error.contains("192.0.2.1 is not an address of this machine: set A_HOST"), "{error}");
    }

    #[test]
    fn any_address_is_reached_on_loopback() {
        let table = [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:2", "[::1]:2"), ("192.0.2.1:3", "192.0.2.1:3")];
        for (bound, expected) in table {
            assert_eq!(from_here(bound.parse().unwrap()).to_string(), expected);
        }
    }
}
