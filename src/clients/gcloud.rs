//! gcloud's configuration, read as gcloud reads it: the environment first, then the active configuration's file.

mod properties;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use crate::environment::Environment;
use crate::setting::{Source, Sourced};

/// gcloud's configuration. `Debug` shows no values: a proxy's password may be among them.
#[derive(Clone)]
pub struct Gcloud {
    env: Environment,
    directory: Option<PathBuf>,
    configuration: String,
    /// Whether the caller named the configuration, so that gcloud has to be told as well.
    chosen: bool,
    named_by: Source,
    properties: BTreeMap<String, String>,
    /// The properties file of the installation, which holds for all configurations.
    installation: Option<Installation>,
}

impl Default for Gcloud {
    fn default() -> Gcloud {
        Gcloud {
            env: Environment::default(),
            directory: None,
            configuration: "default".to_owned(),
            chosen: false,
            named_by: Source::Default,
            properties: BTreeMap::new(),
            installation: None,
        }
    }
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
pub type Property = Sourced<String>;

/// A properties file with what it says.
type Installation = (PathBuf, BTreeMap<String, String>);

/// The configuration that has no file and no properties.
const NONE: &str = "NONE";

impl Gcloud {
    /// Reads the configuration with this name (`--configuration`), else the active one. None at all is an empty one.
    pub fn read(env: &Environment, configuration: Option<&str>) -> Result<Gcloud, ConfigError> {
        let directory = directory(env);
        let variable = "CLOUDSDK_ACTIVE_CONFIG_NAME";
        let by_variable = || env.get(variable).map(|name| (name.to_owned(), Source::Environment(variable.to_owned())));
        let named = configuration.map(|name| (name.to_owned(), Source::Flag("--configuration"))).or_else(by_variable);
        let by_name = named.is_some();
        let (name, named_by) = match (named, &directory) {
            (Some(named), _) => named,
            (None, Some(directory)) => match active(directory)? {
                Some(name) => (name, Source::ActiveConfiguration),
                None => ("default".to_owned(), Source::Default),
            },
            (None, None) => ("default".to_owned(), Source::Default),
        };
        // The name becomes part of a path.
        if name != NONE && !is_name(&name) {
            return Err(ConfigError::new(format!("`{name}` is not the name of a gcloud configuration"))
                .hint(those_there_are(directory.as_deref())));
        }
        let properties = match &directory {
            Some(directory) if name != NONE => {
                let path = directory.join("configurations").join(format!("config_{name}"));
                match read_file(&path)? {
                    Some(text) => properties_of(&path, &text)?,
                    // gcloud makes `default` by itself the first time that it is asked for.
                    None if by_name && name != "default" => {
                        return Err(ConfigError::new(format!("the gcloud configuration `{name}` does not exist"))
                            .hint(those_there_are(Some(directory))));
                    }
                    None => BTreeMap::new(),
                }
            }
            _ => BTreeMap::new(),
        };
        let chosen = configuration.is_some();
        let installation = installation(env)?;
        Ok(Gcloud { env: env.clone(), directory, configuration: name, chosen, named_by, properties, installation })
    }

    /// A property by its name, such as `core/project`.
    pub fn property(&self, name: &str) -> Option<Property> {
        let variable = format!("CLOUDSDK_{}", name.replace(['/', '-'], "_").to_ascii_uppercase());
        if let Some(value) = self.env.get(&variable) {
            return Some(Sourced::new(value.to_owned(), Source::Environment(variable)));
        }
        if self.env.is_empty(&variable) {
            return None;
        }
        if let Some(value) = self.properties.get(name) {
            let source = Source::Gcloud(self.configuration.clone());
            return Some(Sourced::new(value.clone(), source)).filter(|property| !property.value.is_empty());
        }
        let (path, properties) = self.installation.as_ref()?;
        let value = properties.get(name).filter(|value| !value.is_empty())?.clone();
        Some(Sourced::new(value, Source::GcloudInstallation(path.clone())))
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

    /// What named the configuration.
    pub fn named_by(&self) -> &Source {
        &self.named_by
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

/// For whoever named one that is not there.
fn those_there_are(directory: Option<&Path>) -> String {
    let files = directory.and_then(|directory| std::fs::read_dir(directory.join("configurations")).ok());
    let names = files.into_iter().flatten().filter_map(|file| file.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_prefix("config_")?.to_owned())).collect();
    names.sort();
    match names.is_empty() {
        true => "there is none yet: gcloud config configurations create NAME".to_owned(),
        false => format!("the configurations are: {}", names.join(", ")),
    }
}

/// The properties of gcloud's installation: a file beside its `bin`, found as gcloud finds it, by the mark `.install`.
fn installation(env: &Environment) -> Result<Option<Installation>, ConfigError> {
    let program = if cfg!(windows) { "gcloud.cmd" } else { "gcloud" };
    let path = env.get("PATH").map(std::env::split_paths).into_iter().flatten();
    let Some(gcloud) = path.map(|directory| directory.join(program)).find(|file| file.is_file()) else {
        return Ok(None);
    };
    let Ok(gcloud) = gcloud.canonicalize() else { return Ok(None) };
    let Some(root) = gcloud.ancestors().find(|directory| directory.join(".install").is_dir()) else { return Ok(None) };
    let path = root.join("properties");
    let text = read_file(&path)?;
    text.map(|text| properties_of(&path, &text).map(|properties| (path, properties))).transpose()
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

/// What a file of properties says. One that gcloud refuses is refused: half of it would be another configuration.
fn properties_of(path: &Path, text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    properties::parse(text).map_err(|why| {
        ConfigError::new(format!("gcloud's {} cannot be used: {why}", path.display()))
            .hint("gcloud refuses that file as well: correct or remove that line")
    })
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
        assert_eq!(property.source, Source::Environment("CLOUDSDK_CORE_PROJECT".to_owned()));
    }

    #[test]
    fn the_installation_holds_for_all_configurations_and_comes_last() {
        let home = tempfile::tempdir().expect("a directory");
        let sdk = home.path().join("sdk");
        write(&sdk, "bin/gcloud", "");
        write(&sdk, ".install/x", "");
        write(&sdk, "properties", "[core]\nproject = everybody\naccount = all@b.c\n");
        write(home.path(), "configurations/config_default", "[core]\nproject = mine\n");
        write(home.path(), "configurations/config_work", "[core]\naccount = a@b.c\n");
        let path = sdk.join("bin").to_str().expect("text").to_owned();
        let read = |more: &[(&str, &str)], name| {
            Gcloud::read(&env(home.path(), &[&[("PATH", path.as_str())], more].concat()), name)
                .expect("a configuration")
        };
        let found = |gcloud: Gcloud, name: &str| {
            gcloud.property(name).map(|property| format!("{}, {}", property.value, property.source.kind()))
        };
        assert_eq!(found(read(&[], None), "core/project").as_deref(), Some("mine, gcloud"));
        assert_eq!(found(read(&[], None), "core/account").as_deref(), Some("all@b.c, gcloudInstallation"));
        assert_eq!(found(read(&[], Some("work")), "core/project").as_deref(), Some("everybody, gcloudInstallation"));
        // To gcloud an empty variable is a value: it hides what the files say.
        assert_eq!(found(read(&[("CLOUDSDK_CORE_PROJECT", "")], None), "core/project"), None);
        let wrong = Gcloud::read(&env(home.path(), &[]), Some("nope")).expect_err("there is no such configuration");
        assert_eq!(wrong.hint.as_deref(), Some("the configurations are: default, work"));
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
