//! Whether requests go through a proxy.
//!
//! To the API server as Go's `http.ProxyFromEnvironment` decides it, and so kubectl: kube compares NO_PROXY with the
//! proxy's own address, and fails on entries that it does not know. To Secret Manager Google's client decides by itself.

use std::net::IpAddr;

use http::Uri;

use super::endpoint::is_loopback;
use super::error::ConfigError;
use crate::environment::Environment;
use crate::setting::{Source, Sourced};

/// The proxy for this server: the cluster's own (`proxy-url`), else the environment's unless NO_PROXY excepts it.
/// `entry` is what the kubeconfig calls the cluster.
pub(super) fn proxy_for(
    server: &Uri,
    of_cluster: Option<&str>,
    entry: &str,
    env: &Environment,
) -> Result<Option<Sourced<Uri>>, ConfigError> {
    if let Some(proxy) = of_cluster.filter(|proxy| !proxy.is_empty()) {
        return Ok(Some(Sourced::new(parse(proxy)?, Source::Kubeconfig(entry.to_owned()))));
    }
    let either = |upper: &'static str, lower: &'static str| {
        [upper, lower].into_iter().find_map(|name| Some((name, env.get(name)?.to_owned())))
    };
    let proxy = match server.scheme_str() {
        Some("https") => either("HTTPS_PROXY", "https_proxy"),
        _ => either("HTTP_PROXY", "http_proxy"),
    };
    let Some((name, proxy)) = proxy else { return Ok(None) };
    let excepted = either("NO_PROXY", "no_proxy").map(|(_, excepted)| excepted).unwrap_or_default();
    match is_loopback(server) || is_excepted(server, &excepted) {
        true => Ok(None),
        false => Ok(Some(Sourced::new(parse(&proxy)?, Source::Environment(name.to_owned())))),
    }
}

/// The proxy that Google's client takes for this https URL from the process's environment, with the variable's name.
pub fn for_google(url: &str, variable: impl Fn(&str) -> Option<String>) -> Option<(&'static str, String)> {
    let uri: Uri = url.parse().ok()?;
    let set = |name: &'static str| Some((name, variable(name).filter(|value| !value.is_empty())?));
    let found = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter().find_map(set)?;
    let exceptions = variable("NO_PROXY").or_else(|| variable("no_proxy")).unwrap_or_default();
    (!is_excepted(&uri, &exceptions)).then_some(found)
}

/// The environment variable by which Google's client would send requests for this machine to a proxy.
///
/// It cannot be told otherwise, so that whoever starts us must: values of a rehearsal are nobody's business.
/// `variable` reads the process's own environment, since that is what the client does.
pub(super) fn diverts_loopback(url: &str, variable: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    let uri: Uri = url.parse().ok()?;
    let set = |name: &&str| variable(name).is_some_and(|value| !value.is_empty());
    let diverting = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].into_iter().find(set)?;
    let exceptions = variable("NO_PROXY").or_else(|| variable("no_proxy")).unwrap_or_default();
    // It takes no ports, so that an exception with one is none.
    let without_ports: Vec<_> =
        exceptions.split(',').filter(|one| one.parse::<std::net::SocketAddr>().is_err()).collect();
    (!is_excepted(&uri, &without_ports.join(","))).then_some(diverting)
}

fn parse(proxy: &str) -> Result<Uri, ConfigError> {
    // Not shown as it is: it may hold a password.
    let wrong =
        || ConfigError::new("the proxy for the API server is not a URL of the form http://, https:// or socks5://");
    let with_scheme = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
    // Names are resolved by the proxy in either case, which is what the `h` asks for.
    let with_scheme = with_scheme.replacen("socks5h://", "socks5://", 1);
    let uri: Uri = with_scheme.parse().map_err(|_| wrong())?;
    match uri.scheme_str() {
        Some("http" | "https" | "socks5") if uri.host().is_some() => Ok(uri),
        _ => Err(wrong()),
    }
}

fn is_excepted(server: &Uri, exceptions: &str) -> bool {
    let Some(host) = server.host() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("http") { 80 } else { 443 });
    let address: Option<IpAddr> = host.parse().ok();
    exceptions.split(',').map(str::trim).any(|exception| {
        let exception = exception.to_ascii_lowercase();
        match (exception.as_str(), address) {
            ("", _) => false,
            ("*", _) => true,
            (exception, Some(address)) => excepts_address(exception, address, port),
            (exception, None) => excepts_name(exception, &host, port),
        }
    })
}

fn excepts_address(exception: &str, address: IpAddr, port: u16) -> bool {
    if let Some((network, length)) = exception.split_once('/') {
        let (Ok(network), Ok(length)) = (network.parse::<IpAddr>(), length.parse::<u32>()) else { return false };
        return is_within(address, network, length);
    }
    if let Ok(socket) = exception.parse::<std::net::SocketAddr>() {
        return socket.ip() == address && socket.port() == port;
    }
    exception.trim_start_matches('[').trim_end_matches(']').parse() == Ok(address)
}

fn is_within(address: IpAddr, network: IpAddr, length: u32) -> bool {
    let (address, network, bits) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (u128::from(address.to_bits()), u128::from(network.to_bits()), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    // A shift by all bits is no shift at all to the processor: a length of 0 excepts everything.
    length <= bits && (length == 0 || (address ^ network) >> (bits - length) == 0)
}

/// `example.com` excepts itself and what is below it, `.example.com` and `*.example.com` only what is below.
fn excepts_name(exception: &str, host: &str, port: u16) -> bool {
    let (name, wanted) = match exception.rsplit_once(':') {
        Some((name, wanted)) => match wanted.parse::<u16>() {
            Ok(wanted) => (name, Some(wanted)),
            Err(_) => return false,
        },
        None => (exception, None),
    };
    if wanted.is_some_and(|wanted| wanted != port) {
        return false;
    }
    let name = name.strip_prefix('*').unwrap_or(name);
    match name.strip_prefix('.') {
        Some(domain) => host.strip_suffix(domain).is_some_and(|below| below.ends_with('.')),
        None => host.strip_suffix(name).is_some_and(|below| below.is_empty() || below.ends_with('.')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(variables: &[(&str, &str)]) -> Environment {
        variables.iter().copied().collect()
    }

    fn proxy(server: &str, variables: &[(&str, &str)]) -> Option<String> {
        let server = server.parse().expect("a URL");
        proxy_for(&server, None, "", &env(variables)).expect("a usable proxy").map(|proxy| proxy.value.to_string())
    }

    #[test]
    fn no_proxy_is_about_the_server() {
        let through = |server: &str, no_proxy: &str| {
            proxy(server, &[("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", no_proxy)]).is_some()
        };
        for (server, no_proxy, expected) in [
            ("https://10.1.2.3", "", true),
            ("https://10.1.2.3", "10.0.0.0/8", false),
            ("https://10.1.2.3", "11.0.0.0/8,", true),
            ("https://10.1.2.3", "0.0.0.0/0", false),
            ("https://10.1.2.3", "10.1.2.3", false),
            ("https://10.1.2.3:6443", "10.1.2.3:6443", false),
            ("https://10.1.2.3:6443", "10.1.2.3:443", true),
            ("https://[2001:db8::1]", "2001:db8::/32", false),
            ("https://[2001:db8::1]", "[2001:db8::1]:443", false),
            ("https://api.example.com", "example.com", false),
            ("https://api.example.com", ".example.com", false),
            ("https://api.example.com", "*.EXAMPLE.com", false),
            ("https://example.com", ".example.com", true),
            ("https://example.com", "example.com", false),
            ("https://notexample.com", "example.com", true),
            ("https://example.com:6443", "example.com:6443", false),
            ("https://example.com", "example.com:6443", true),
            ("https://example.com", "proxy", true),
            ("https://example.com", "*", false),
            ("https://example.com", "10.0.0.0/8, not a thing, a:b:c", true),
            ("https://127.0.0.1:6443", "", false),
            ("https://localhost:6443", "", false),
        ] {
            assert_eq!(through(server, no_proxy), expected, "{server} NO_PROXY={no_proxy}");
        }
    }

    #[test]
    fn requests_to_this_machine_are_not_to_be_diverted() {
        for (variables, expected) in [
            (&[][..], None),
            (&[("HTTPS_PROXY", "http://p:1")], None),
            (&[("HTTP_PROXY", "http://p:1")], Some("HTTP_PROXY")),
            (&[("all_proxy", "http://p:1"), ("NO_PROXY", "localhost")], Some("all_proxy")),
            (&[("HTTP_PROXY", "http://p:1"), ("NO_PROXY", "127.0.0.1:8080")], Some("HTTP_PROXY")),
            (&[("HTTP_PROXY", "http://p:1"), ("no_proxy", "localhost, 127.0.0.1")], None),
            (&[("HTTP_PROXY", "http://p:1"), ("NO_PROXY", "127.0.0.0/8")], None),
        ] {
            let env = env(variables);
            let diverting = diverts_loopback("http://127.0.0.1:8080/", |name| env.get(name).map(str::to_owned));
            assert_eq!(diverting, expected, "{variables:?}");
        }
    }

    #[test]
    fn which_proxy() {
        let https = ("https_proxy", "proxy.example.com:3128");
        assert_eq!(proxy("https://x", &[https]).as_deref(), Some("http://proxy.example.com:3128/"));
        assert_eq!(proxy("http://x", &[https]), None, "an https proxy is for https servers");
        assert_eq!(proxy("https://x", &[("HTTPS_PROXY", "socks5h://p:1")]).as_deref(), Some("socks5://p:1/"));
        let server = "https://10.0.0.1".parse().expect("a URL");
        let own =
            proxy_for(&server, Some("http://own:1"), "cluster c", &env(&[("NO_PROXY", "*")])).expect("a usable proxy");
        assert_eq!(
            own.map(|proxy| proxy.value.to_string()).as_deref(),
            Some("http://own:1/"),
            "NO_PROXY is not about it"
        );
        let error = proxy_for(&server, Some("ftp://user:MARKER@p"), "", &env(&[])).expect_err("not a proxy");
        assert!(!format!("{error} {error:?}").contains("MARKER"));
    }
}
