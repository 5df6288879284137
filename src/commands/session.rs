//! What the accounts of one run share: the cluster, the credentials, the settings, the voice.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;

use serde_json::Value;

use super::agreed::{Grave, Place};
use super::confirm::Asker;
use super::{Voice, carried, operator, speak};
use crate::cli;
use crate::clients::cluster::Cluster;
use crate::clients::credentials::{self, Resolved};
use crate::clients::custom_ca::custom_ca;
use crate::clients::ear::Ear;
use crate::clients::endpoint::Endpoint;
use crate::clients::gcloud::Gcloud;
use crate::clients::gcloud_proxy::gcloud_proxy;
use crate::clients::known;
use crate::clients::kubeconfig::{self, KubeFlags, KubeTarget, StdinUse};
use crate::clients::secret_manager::SecretManager;
use crate::completion;
use crate::environment::Environment;
use crate::lock::Operator;
use crate::observe::served;
use crate::request::{self, Request};
use crate::run::{Interrupt, Run, Teller};
use crate::settings::{self, Settings};
use deepdesk_protocol::facts::names::{AccountName, SecretId};
use deepdesk_protocol::hint::CallFlags;
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::result::AccountResult;

/// What the accounts of one run share.
pub struct Session {
    settings: Settings,
    gcloud: Gcloud,
    target: KubeTarget,
    cluster: Cluster,
    secret_manager: SecretManager,
    operator: Operator,
    credentials: String,
    voice: Voice,
    interrupt: Interrupt,
}

/// One account's place in a session.
pub struct Desk {
    /// What is asked.
    pub request: Request,
    /// The cluster, in the account's namespace.
    pub cluster: Cluster,
    pub secret_manager: SecretManager,
    /// Who asks.
    pub operator: Operator,
    /// Tells what happens.
    pub teller: Teller,
    /// Shows plans and asks.
    pub voice: Voice,
    /// The flags of the present call, for the commands that it recommends.
    pub flags: CallFlags,
    /// Where it is, as far as questions go.
    pub place: Place,
    quiet: bool,
    interrupt: Interrupt,
}

impl Desk {
    /// Asks whoever sits there.
    pub fn asker(&self) -> Asker<'_> {
        Asker { voice: &self.voice, interrupt: &self.interrupt, quiet: self.quiet }
    }

    /// Why the account's name has to be typed, if it has to be: for what is given up, or where it is.
    pub fn grave(&self, gives_up: Option<Grave>) -> Option<Grave> {
        gives_up.or(self.place.protected.then_some(Grave::Protected))
    }

    /// What a command holds while it runs.
    pub fn run(&self) -> Run<'_> {
        Run {
            request: &self.request,
            cluster: &self.cluster,
            secret_manager: &self.secret_manager,
            teller: &self.teller,
            interrupt: self.interrupt.clone(),
        }
    }
}

/// The side of Google: where, and as whom.
pub struct Google {
    /// gcloud's configuration.
    pub gcloud: Gcloud,
    /// Where Secret Manager answers.
    pub endpoint: Endpoint,
    /// The credentials.
    pub resolved: Resolved,
}

/// Reads the configuration, connects, and finds the credentials: kubeconfig and Google at the same time, since each
/// may run a program that takes half a second.
pub async fn open(
    common: &cli::Common,
    environment: &Environment,
    takes_stdin: bool,
    voice: Voice,
    interrupt: Interrupt,
) -> Result<Session, Problem> {
    let settings = settings::read(common.settings.as_deref(), environment)?;
    let gcloud = gcloud(common.google.configuration.as_deref(), environment)?;
    let endpoint = endpoint(&gcloud)?;
    let (target, resolved) =
        futures::try_join!(target(common, environment, takes_stdin), resolve(common, environment, &gcloud, &endpoint))?;
    let google = Google { gcloud, endpoint, resolved };
    Session::new(settings, google, target, common, environment, voice, interrupt)
}

/// gcloud's configuration: the active one, or the named. A proxy or certificate authorities in it that cannot be used are
/// refused: requests must not go another way in silence.
pub fn gcloud(configuration: Option<&str>, environment: &Environment) -> Result<Gcloud, Problem> {
    let gcloud = Gcloud::read(environment, configuration)?;
    gcloud_proxy(&gcloud)?;
    custom_ca(&gcloud)?;
    Ok(gcloud)
}

/// Where Secret Manager answers.
pub fn endpoint(gcloud: &Gcloud) -> Result<Endpoint, Problem> {
    match request::endpoint_override(gcloud) {
        Some(url) => Ok(Endpoint::instead(&url.value)?),
        None => Ok(Endpoint::google()),
    }
}

/// The cluster; runs the credential plugin of the kubeconfig, if there is one.
pub async fn target(common: &cli::Common, environment: &Environment, takes_stdin: bool) -> Result<KubeTarget, Problem> {
    let stdin =
        if takes_stdin || !std::io::stdin().is_terminal() { StdinUse::OursOrNoTerminal } else { StdinUse::Terminal };
    Ok(kubeconfig::load(&kube_flags(&common.cluster), environment, stdin).await?)
}

/// The credentials at Google, which have given out a token.
pub async fn resolve(
    common: &cli::Common,
    environment: &Environment,
    gcloud: &Gcloud,
    endpoint: &Endpoint,
) -> Result<Resolved, Problem> {
    let impersonated = request::impersonated(common, gcloud).map(|account| account.value);
    Ok(credentials::resolve(environment, gcloud, impersonated.as_deref(), endpoint).await?)
}

/// The flags that a hint names after an account.
const FLAGS: [&str; 4] = ["--adopt", "--from", "--yes", "--destroy"];

impl Session {
    /// A session with what was found.
    pub fn new(
        settings: Settings,
        google: Google,
        target: KubeTarget,
        common: &cli::Common,
        environment: &Environment,
        voice: Voice,
        interrupt: Interrupt,
    ) -> Result<Session, Problem> {
        // Any namespace will do here: each account gets its own from it.
        let anywhere: AccountName = "default".parse()?;
        let ear = ear(common.show.verbose, &voice);
        if let Some(warning) = target.warning() {
            speak(&voice).warning(&warning);
        }
        let cluster = Cluster::connect(&target, &anywhere)?.heard_by(ear.clone());
        let credentials = match &google.resolved.principal {
            Some(principal) => format!("{principal}: {}", google.resolved.description),
            None => google.resolved.description.clone(),
        };
        let secret_manager = SecretManager::new(google.endpoint, google.resolved).heard_by(ear);
        let operator = operator::operator(environment)?;
        Ok(Session {
            settings,
            gcloud: google.gcloud,
            target,
            cluster,
            secret_manager,
            operator,
            credentials,
            voice,
            interrupt,
        })
    }

    /// Asks the API server as whom it sees whoever runs this: the lock, the record and Events carry that name.
    pub async fn identify(&mut self) {
        self.operator.name = operator::seen_by(&self.cluster, &self.operator.name).await;
    }

    /// Who runs this.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// As whom at Google, and by which credentials.
    pub fn credentials(&self) -> &str {
        &self.credentials
    }

    /// The cluster, in no account's namespace.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The context's name; empty when flags alone lead to the cluster.
    pub fn context(&self) -> &str {
        self.target.context.as_deref().unwrap_or_default()
    }

    /// The cluster, in the namespace at hand.
    pub fn here(&self) -> Result<Cluster, Problem> {
        let namespace: AccountName = self.target.namespace.as_deref().unwrap_or("default").parse()?;
        Ok(self.cluster.for_account(&namespace))
    }

    pub fn secret_manager(&self) -> &SecretManager {
        &self.secret_manager
    }

    /// The accounts to work on: those named, else the namespace of the context, else one picked at the terminal. What is
    /// picked is asked about where a `deed` follows that asks nothing by itself.
    pub async fn accounts(&self, common: &cli::Common, deed: Option<&str>) -> Result<Vec<AccountName>, Problem> {
        let named = request::named_accounts(common)?;
        if !named.is_empty() {
            return Ok(named);
        }
        let namespace = self.target.namespace.as_deref().unwrap_or("default");
        let account: AccountName = namespace.parse()?;
        if !request::is_no_account(&account) {
            return Ok(vec![account]);
        }
        if common.google.quiet || !super::confirm::can_ask() {
            return Err(request::no_account(namespace));
        }
        let candidates = self.candidates().await?;
        let asker = Asker { voice: &self.voice, interrupt: &self.interrupt, quiet: common.google.quiet };
        asker.pick(namespace, &candidates, deed).map(|account| vec![account])
    }

    /// The namespaces that have an ExternalSecret.
    async fn candidates(&self) -> Result<Vec<AccountName>, Problem> {
        served::external_secrets(&self.cluster, self.context()).await?;
        let everywhere = self.cluster.external_secrets_everywhere().await?;
        let namespaces: BTreeMap<String, ()> = everywhere
            .into_iter()
            .filter_map(|object| serde_json::to_value(object).ok())
            .filter_map(|object| Some((object.pointer("/metadata/namespace").and_then(Value::as_str)?.to_owned(), ())))
            .collect();
        let accounts = namespaces.into_keys().filter_map(|namespace| namespace.parse::<AccountName>().ok());
        Ok(accounts.filter(|account| !request::is_no_account(account)).collect())
    }

    /// Keeps what was seen of an account, for completion to show beside its name.
    pub fn note(&self, environment: &Environment, result: &AccountResult) {
        completion::keep_note(environment, &self.target, result);
    }

    /// The place of one account.
    pub fn desk(&self, account: AccountName, common: &cli::Common) -> Result<Desk, Problem> {
        let voice = self.voice.clone();
        let teller = Teller::new(account.clone(), move |event| speak(&voice).event(event));
        let cluster = self.cluster.for_account(&account);
        let request = request::request(account, common, &self.settings, &self.gcloud, self.target.context.as_deref())?;
        // A value may have its account's name in it, and a hint must be able to say it.
        let names = [&request.names.primary, &request.names.back_compat].map(SecretId::as_str);
        let flags = carried::of(common);
        flags.all().for_each(|flag| known::values().publish(flag));
        let asked = request.asked_project.as_ref().map(|project| project.as_str());
        [request.account.as_str(), &request.context]
            .into_iter()
            .chain(names)
            .chain(asked)
            .chain(FLAGS.map(|flag| format!("{} {flag}", request.account)).iter().map(String::as_str))
            .for_each(|name| known::values().publish(name));
        let place = Place {
            context: request.context.clone(),
            protected: request.protected,
            several: common.accounts.len() > 1,
            unattended: self.settings.allow_unattended,
        };
        Ok(Desk {
            flags,
            place,
            quiet: common.google.quiet,
            cluster,
            request,
            secret_manager: self.secret_manager.clone(),
            operator: self.operator.clone(),
            teller,
            voice: self.voice.clone(),
            interrupt: self.interrupt.clone(),
        })
    }
}

/// With `-v`, each request is told as a line.
pub(super) fn ear(verbose: u8, voice: &Voice) -> Ear {
    if verbose == 0 {
        return Ear::default();
    }
    let voice = voice.clone();
    Ear::new(move |sent| speak(&voice).request(&sent.to_string()))
}

/// kubectl's flags.
pub fn kube_flags(flags: &cli::Cluster) -> KubeFlags {
    KubeFlags {
        kubeconfig: flags.kubeconfig.clone(),
        context: flags.context.clone(),
        cluster: flags.cluster.clone(),
        user: flags.user.clone(),
        namespace: flags.namespace.clone(),
        impersonate: flags.impersonate.clone(),
        impersonate_groups: flags.impersonate_groups.clone(),
        impersonate_uid: flags.impersonate_uid.clone(),
        server: flags.server.clone(),
        token: flags.token.as_ref().map(|token| token.0.clone()),
        tls_server_name: flags.tls_server_name.clone(),
        certificate_authority: flags.certificate_authority.clone(),
        client_certificate: flags.client_certificate.clone(),
        client_key: flags.client_key.clone(),
        insecure_skip_tls_verify: flags.insecure_skip_tls_verify,
        request_timeout: Some(flags.request_timeout).filter(|timeout| !timeout.is_zero()),
    }
}
