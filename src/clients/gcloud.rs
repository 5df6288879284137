//! gcloud's configuration, read as gcloud reads it: the environment first, then the active configuration's file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use crate::domain::environment::Environment;

/// gcloud's configuration. `Debug` shows no values: a proxy's password may be among them.
#[derive(Clone, Default)]
pub struct Gcloud {
    env: Environment,
    directory: Option<PathBuf>,
    configuration: String,
    /// Whether the caller named the configuration, so that gcloud has to be told as well.
    chosen: bool,
    properties: BTreeMap<String, String>,
}

impl fmt::Debug for Gcloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gcloud")
            .field("directory", &self.directory)
            .field("configuration", &self.configuration)
            .field("properties", &self.properties.keys())
            .finish_non_exhaustive()
    }
}

/// A property and where it was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Property {
    /// Its value.
    pub value: String,
    /// Where it was found.
    pub source: PropertySource,
}

/// Where a property was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PropertySource {
    /// In this environment variable.
    Environment(String),
    /// In the configuration with this name.
    Configuration(String),
}

impl fmt::Display for PropertySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PropertySource::Environment(name) => write!(f, "environment variable {name}"),
            PropertySource::Configuration(name) => write!(f, "gcloud configuration {name}"),
        }
    }
}

/// The configuration that has no file and no properties.
const NONE: &str = "NONE";

impl Gcloud {
    /// Reads the configuration with this name (`--configuration`), else the active one. None at all is an empty one.
    pub fn read(env: &Environment, configuration: Option<&str>) -> Result<Gcloud, ConfigError> {
        let directory = directory(env);
        let named = configuration.or_else(|| env.get("CLOUDSDK_ACTIVE_CONFIG_NAME"));
        let (name, by_name) = match (named, &directory) {
            (Some(name), _) => (name.to_owned(), true),
            (None, Some(directory)) => (active(directory)?.unwrap_or_else(|| "default".to_owned()), false),
            (None, None) => ("default".to_owned(), false),
        };
        // The name becomes part of a path.
        if name != NONE && !is_name(&name) {
            return Err(ConfigError::new(format!("`{name}` is not the name of a gcloud configuration")));
        }
        let properties = match &directory {
            Some(directory) if name != NONE => {
                let path = directory.join("configurations").join(format!("config_{name}"));
                match read_file(&path)? {
                    Some(text) => parse(&text),
                    // gcloud makes `default` by itself the first time that it is asked for.
                    None if by_name && name != "default" => {
                        return Err(ConfigError::new(format!("the gcloud configuration `{name}` does not exist"))
                            .hint("gcloud config configurations list"));
                    }
                    None => BTreeMap::new(),
                }
            }
            _ => BTreeMap::new(),
        };
        Ok(Gcloud { env: env.clone(), directory, configuration: name, chosen: configuration.is_some(), properties })
    }

    /// A property by its name, such as `core/project`.
    pub fn property(&self, name: &str) -> Option<Property> {
        let variable = format!("CLOUDSDK_{}", name.replace(['/', '-'], "_").to_ascii_uppercase());
        if let Some(value) = self.env.get(&variable) {
            return Some(Property { value: value.to_owned(), source: PropertySource::Environment(variable) });
        }
        let value = self.properties.get(name).filter(|value| !value.is_empty())?.clone();
        Some(Property { value, source: PropertySource::Configuration(self.configuration.clone()) })
    }

    /// Whether a property is set to something that gcloud reads as yes.
    pub fn is_on(&self, name: &str) -> bool {
        let value = self.property(name).map(|property| property.value.to_ascii_lowercase());
        matches!(value.as_deref(), Some("1" | "true" | "yes" | "on" | "y"))
    }

    /// Name of the configuration that was read.
    pub fn configuration(&self) -> &str {
        &self.configuration
    }

    /// The name, where the caller chose it over the active one.
    pub(super) fn chosen(&self) -> Option<&str> {
        self.chosen.then_some(self.configuration.as_str())
    }

    /// gcloud's directory, in which application default credentials lie as well.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }
}

fn directory(env: &Environment) -> Option<PathBuf> {
    if let Some(directory) = env.get("CLOUDSDK_CONFIG") {
        return Some(PathBuf::from(directory));
    }
    match cfg!(windows) {
        true => env.get("APPDATA").map(|data| PathBuf::from(data).join("gcloud")),
        false => env.home().map(|home| home.join(".config").join("gcloud")),
    }
}

fn active(directory: &Path) -> Result<Option<String>, ConfigError> {
    let name = read_file(&directory.join("active_config"))?;
    Ok(name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()))
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.bytes().all(fits) && !name.starts_with('.')
}

fn read_file(path: &Path) -> Result<Option<String>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(ConfigError::new(format!("gcloud's {} cannot be read: {error}", path.display()))),
    }
}

/// `section/key` to value. Python's `configparser` as far as gcloud's files go: it alone writes them.
fn parse(text: &str) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.trim().to_owned();
        } else if let Some((key, value)) = line.split_once(['=', ':']) {
            properties.insert(format!("{section}/{}", key.trim().to_ascii_lowercase()), value.trim().to_owned());
        }
    }
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, name: &str, text: &str) {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }

    fn env(directory: &Path, more: &[(&str, &str)]) -> Environment {
        let directory = directory.to_str().expect("a path as text").to_owned();
        let more = more.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        [("CLOUDSDK_CONFIG".to_owned(), directory)].into_iter().chain(more).collect()
    }

    #[test]
    fn the_environment_comes_before_the_active_configuration() {
        let home = tempfile::tempdir().expect("a directory");
        write(home.path(), "active_config", "work\n");
        write(
            home.path(),
            "configurations/config_work",
            "# gcloud wrote this\n[core]\nproject = acme-prod\naccount: a@b.c\n\n[auth]\ndisable_credentials = True\n\
             [proxy]\npassword = MARKER\n[api_endpoint_overrides]\nsecretmanager = https://x/?a=b\n",
        );
        write(home.path(), "configurations/config_other", "[core]\nproject = other\n");

        let gcloud = Gcloud::read(&env(home.path(), &[]), None).expect("a configuration");
        let project = gcloud.property("core/project").expect("a project");
        assert_eq!(project.value, "acme-prod");
        assert_eq!(project.source.to_string(), "gcloud configuration work");
        assert_eq!(gcloud.property("core/account").expect("an account").value, "a@b.c");
        let endpoint = gcloud.property("api_endpoint_overrides/secretmanager").expect("an endpoint");
        assert_eq!(endpoint.value, "https://x/?a=b");
        assert!(gcloud.is_on("auth/disable_credentials"));
        assert_eq!(gcloud.property("core/nothing"), None);
        assert!(!format!("{gcloud:?}").contains("MARKER"));

        let with = |more: &[(&str, &str)], name| Gcloud::read(&env(home.path(), more), name);
        let project = |gcloud: Gcloud| gcloud.property("core/project").map(|property| property.value);
        let named = [("CLOUDSDK_ACTIVE_CONFIG_NAME", "other")];
        assert_eq!(project(with(&named, None).expect("other")).as_deref(), Some("other"));
        assert_eq!(project(with(&named, Some("work")).expect("work")).as_deref(), Some("acme-prod"));
        assert_eq!(project(with(&[], Some("NONE")).expect("none")), None);
        let by_env = with(&[("CLOUDSDK_CORE_PROJECT", "env")], None).expect("a configuration");
        let property = by_env.property("core/project").expect("a project");
        assert_eq!(property.source, PropertySource::Environment("CLOUDSDK_CORE_PROJECT".to_owned()));
    }

    #[test]
    fn what_is_missing_is_empty_unless_it_was_named() {
        let home = tempfile::tempdir().expect("a directory");
        let empty = Gcloud::read(&env(home.path(), &[]), None).expect("an empty configuration");
        assert_eq!((empty.configuration(), empty.property("core/project")), ("default", None));
        assert!(Gcloud::read(&Environment::default(), None).is_ok());
        for name in ["missing", "../../etc/passwd", ""] {
            assert!(Gcloud::read(&env(home.path(), &[]), Some(name)).is_err(), "{name:?}");
        }
    }
}
