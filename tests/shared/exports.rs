//! What `sandbox start` prints for a shell to take over.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read};

/// The variables; the address of the control endpoint is the last.
pub fn exports(printed: impl Read) -> BTreeMap<String, String> {
    let mut lines = BufReader::new(printed).lines();
    let mut environment = BTreeMap::new();
    while !environment.contains_key("DEEPDESK_SANDBOX_URL") {
        let line = lines.next().expect("the exports end with DEEPDESK_SANDBOX_URL").expect("readable");
        let (name, value) = line.trim_start_matches("export ").split_once('=').expect("NAME=VALUE");
        environment.insert(name.to_owned(), value.trim_matches('\'').to_owned());
    }
    environment
}
