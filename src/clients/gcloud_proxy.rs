//! The proxy that gcloud's configuration names for requests to Google (`proxy/type`, `address`, `port`, …).
//!
//! As gcloud has it: all three or none, and then no NO_PROXY excepts from it.

use super::error::ConfigError;
use super::gcloud::Gcloud;
use crate::domain::setting::{Source, Sourced};

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
        crate::domain::setting::without_password(&self.0)
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
        other => {
            let line = format!("gcloud's proxy/type `{other}` is none of http, http_no_tunnel, socks4, socks5");
            return Err(ConfigError::new(line).hint("gcloud config set proxy/type http"));
        }
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    if !address.value.bytes().all(fits) {
        return Err(ConfigError::new("gcloud's proxy/address is not a host name or an address"));
    }
    let Ok(port) = port.value.parse::<u16>() else {
        return Err(ConfigError::new(format!("gcloud's proxy/port `{}` is not a port", port.value)));
    };
    let bare = address.value.trim_start_matches('[').trim_end_matches(']');
    let host = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
    let user = match (property("username"), property("password")) {
        (Some(user), Some(password)) => format!("{}:{}@", escaped(&user.value), escaped(&password.value)),
        (Some(user), None) => format!("{}@", escaped(&user.value)),
        (None, _) => String::new(),
    };
    let source: Source = address.source;
    Ok(Some(Sourced::new(GcloudProxy(format!("http://{user}{host}:{port}")), source)))
}

/// As it stands in a URL.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::environment::Environment;

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
            &[all[0], all[1], ("PORT", "70000")],
        ] {
            assert!(proxy(wrong).is_err(), "{wrong:?}");
        }
    }
}
