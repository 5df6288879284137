//! The proxy that gcloud's configuration names for requests to Google (`proxy/type`, `address`, `port`, …).
//!
//! As gcloud has it: all three or none, and then no NO_PROXY excepts from it.

use super::error::ConfigError;
use super::gcloud::Gcloud;
use crate::setting::{Source, Sourced};

/// The proxy as a URL, with user and password where there are some. `Debug` shows no password.
#[derive(Clone, Eq, PartialEq)]
pub struct GcloudProxy(String);

impl std::fmt::Debug for GcloudProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

impl GcloudProxy {
    /// The URL with its password: for the client alone.
    pub fn url(&self) -> &str {
        &self.0
    }

    /// The URL without its password.
    pub fn shown(&self) -> String {
        crate::setting::without_password(&self.0)
    }
}

/// The proxy that gcloud would use for Google; none when its properties name none. The source is that of the address.
pub fn gcloud_proxy(gcloud: &Gcloud) -> Result<Option<Sourced<GcloudProxy>>, ConfigError> {
    let property = |name: &str| gcloud.property(&format!("proxy/{name}"));
    let (kind, address, port) = (property("type"), property("address"), property("port"));
    let (kind, address, port) = match (kind, address, port) {
        (None, None, None) => return Ok(None),
        (Some(kind), Some(address), Some(port)) => (kind, address, port),
        _ => {
            let line = "gcloud's proxy is set in part: proxy/type, proxy/address and proxy/port go together";
            return Err(ConfigError::new(line).hint("set all three, or none: gcloud config unset proxy/type"));
        }
    };
    match kind.value.as_str() {
        "http" | "http_no_tunnel" => {}
        "socks4" | "socks5" => {
            let line = format!("gcloud's proxy/type {} is not supported", kind.value);
            return Err(ConfigError::new(line).hint("use an http proxy, or: gcloud config unset proxy/type"));
        }
        // Not quoted: in a file that lost a line break it may be the password. The same below.
        _ => {
            let line = "gcloud's proxy/type is none of http, http_no_tunnel, socks4, socks5";
            return Err(ConfigError::new(line).hint("gcloud config set proxy/type http"));
        }
    }
    // Google's client passes by a proxy that it cannot parse, and would go without.
    let Some(host) = host(&address.value) else {
        return Err(ConfigError::new("gcloud's proxy/address is not a host name or an address"));
    };
    let Ok(port) = port.value.parse::<u16>() else {
        return Err(ConfigError::new("gcloud's proxy/port is not the number of a port"));
    };
    let user = match (property("username"), property("password")) {
        (Some(user), Some(password)) => format!("{}:{}@", escaped(&user.value), escaped(&password.value)),
        (Some(user), None) => format!("{}@", escaped(&user.value)),
        (None, _) => String::new(),
    };
    let source: Source = address.source;
    Ok(Some(Sourced::new(GcloudProxy(format!("http://{user}{host}:{port}")), source)))
}

/// The host as it stands in a URL; none for what is no host name and no address.
fn host(address: &str) -> Option<String> {
    let bare = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
    if bare.contains(':') {
        return bare.parse::<std::net::Ipv6Addr>().ok().map(|_| format!("[{bare}]"));
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (!bare.is_empty() && bare.len() == address.len() && bare.bytes().all(fits)).then(|| bare.to_owned())
}

/// As it stands in a URL.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    #[test]
    fn all_of_it_or_none() {
        let proxy = |set: &[(&str, &str)]| {
            let named = set.iter().map(|(name, value)| (format!("CLOUDSDK_PROXY_{name}"), (*value).to_owned()));
            let environment: Environment = named.collect();
            let gcloud = Gcloud::read(&environment, None).expect("a configuration");
            gcloud_proxy(&gcloud).map(|proxy| proxy.map(|proxy| proxy.value))
        };
        let all = [("TYPE", "http"), ("ADDRESS", "proxy.example"), ("PORT", "3128")];
        let url = |set: &[(&str, &str)]| proxy(set).map(|proxy| proxy.map(|proxy| proxy.url().to_owned()));
        assert_eq!(url(&[]), Ok(None));
        assert_eq!(url(&all), Ok(Some("http://proxy.example:3128".to_owned())));
        let with = [&all[..], &[("USERNAME", "ann"), ("PASSWORD", "M@RK/:")]].concat();
        assert_eq!(url(&with), Ok(Some("http://ann:M%40RK%2F%3A@proxy.example:3128".to_owned())));
        let shown = format!("{:?}", proxy(&with));
        assert!(!shown.contains("RK") && shown.contains("ann:(not shown)@"), "{shown}");
        let v6 = [("TYPE", "http_no_tunnel"), ("ADDRESS", "2001:db8::1"), ("PORT", "80")];
        assert_eq!(url(&v6), Ok(Some("http://[2001:db8::1]:80".to_owned())));
        for wrong in [
            &all[..2],
            &[("TYPE", "socks5"), all[1], all[2]],
            &[("TYPE", "ftp"), all[1], all[2]],
            &[all[0], ("ADDRESS", "a b@c"), all[2]],
            &[all[0], ("ADDRESS", "p[roxy"), all[2]],
            &[all[0], ("ADDRESS", "a:b"), all[2]],
            &[all[0], ("ADDRESS", "[proxy]"), all[2]],
            &[all[0], all[1], ("PORT", "70000")],
        ] {
            assert!(proxy(wrong).is_err(), "{wrong:?}");
        }
    }
}
