//! One request to Secret Manager: its client, its limits and its repeats.

use std::collections::HashMap;
use std::sync::Arc;

use google_cloud_gax::error::Error as GoogleError;
use google_cloud_gax::options::RequestOptionsBuilder;
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_secretmanager_v1::client::SecretManagerService;
use tokio::sync::Mutex;

use crate::clients::credentials::Resolved;
use crate::clients::ear::{self, Ear};
use crate::clients::endpoint::Endpoint;
use crate::clients::error::{ApiError, Service};
use crate::clients::fence::Fence;
use crate::clients::google::{Caller, unredirected};
use crate::clients::rate_limit::{Cost, RateLimit};
use crate::clients::retry::{Repeat, Retry};
use deepdesk_protocol::facts::names::LocationId;

/// What a request is, apart from its contents.
#[derive(Clone)]
pub(super) struct Call<'a> {
    /// Its name in errors, such as `addSecretVersion acme_account_secret`.
    pub(super) operation: &'a str,
    /// Its HTTP method, and what its URL has after `/v1/`: for whoever hears of requests. Google's client makes its own.
    pub(super) method: http::Method,
    pub(super) path: &'a str,
    /// The location of a regional secret, which has an endpoint of its own.
    pub(super) location: Option<&'a LocationId>,
    pub(super) cost: Cost<'a>,
    pub(super) repeat: Repeat,
    /// What a write asks before each attempt.
    pub(super) fence: &'a Fence,
}

/// The way to Secret Manager. Clones share connections, limits and what they learnt.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) retry: Retry,
    pub(super) caller: Caller,
    endpoint: Endpoint,
    limit: RateLimit,
    /// One client for each location: nothing in Google's picks the endpoint from a name.
    clients: Arc<Mutex<HashMap<Option<LocationId>, SecretManagerService>>>,
}

impl Wire {
    pub(super) fn new(endpoint: Endpoint, resolved: Resolved) -> Wire {
        let caller = Caller::new(Service::SecretManager, &endpoint, resolved, Ear::default());
        Wire { retry: Retry::default(), caller, endpoint, limit: RateLimit::default(), clients: Arc::default() }
    }

    /// Sends what `make` makes, as often as the call allows and needs.
    pub(super) async fn call<B, F, T>(
        &self,
        call: Call<'_>,
        make: impl Fn(&SecretManagerService) -> B,
        send: impl Fn(B) -> F,
    ) -> Result<T, ApiError>
    where
        B: RequestOptionsBuilder,
        F: Future<Output = Result<T, GoogleError>>,
    {
        let client = self.client(call.operation, call.location).await?;
        // The first turn may be long in coming when many accounts run at once: it is not part of the deadline.
        self.limit.admit(call.cost).await;
        let mut repeated = false;
        self.retry
            .run(call.repeat, |within| {
                let again = std::mem::replace(&mut repeated, true);
                let request = self.caller.prepare(make(&client), within);
                let sent = send(request);
                let call = &call;
                async move {
                    if again {
                        self.limit.admit(call.cost).await;
                    }
                    self.caller.attempt(call.operation, &call.method, || self.url(call), within, call.fence, sent).await
                }
            })
            .await
    }

    fn url(&self, call: &Call<'_>) -> String {
        let server = self.endpoint.url(call.location).parse().unwrap_or_default();
        ear::shown(&server, &format!("/v1/{}", call.path))
    }

    async fn client(&self, operation: &str, location: Option<&LocationId>) -> Result<SecretManagerService, ApiError> {
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(&location.cloned()) {
            return Ok(client.clone());
        }
        let url = self.endpoint.url(location);
        let building = unredirected(SecretManagerService::builder())
            .with_endpoint(&url)
            .with_credentials(self.caller.credentials())
            .with_retry_policy(NeverRetry)
            .build();
        let client = self.caller.connect(operation, &url, self.retry.attempt, building).await?;
        clients.insert(location.cloned(), client.clone());
        Ok(client)
    }
}
