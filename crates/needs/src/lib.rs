//! `#[needs(kubectl, gcloud)]` before `#[test]`: where this machine lacks one of the tools, the test is ignored and counted so, with
//! the reason. With `CI=true` the build stops instead.
//!
//! An attribute of a package that only tests depend on, and not `cfg` from a build script of the program's package: that one would
//! have the program built anew whenever PATH changes.

use proc_macro::{Delimiter, TokenStream, TokenTree};

#[cfg_attr(not(test), expect(dead_code, reason = "the build script and the tests call the rest"))]
mod tools;

/// Ignores the test that follows where one of the named tools is missing. It has to stand before `#[test]`.
#[proc_macro_attribute]
pub fn needs(named: TokenStream, test: TokenStream) -> TokenStream {
    let missing: Vec<&str> = env!("NEEDS_MISSING").split(',').collect();
    let added = match added(&named.to_string(), &attributes(test.clone()), &missing) {
        Ok(None) => return test,
        Ok(Some(reason)) => format!("#[ignore = {reason:?}]"),
        Err(wrong) => format!("compile_error!({wrong:?});"),
    };
    let mut tokens: TokenStream = added.parse().expect("an attribute, or a call of a macro");
    tokens.extend(test);
    tokens
}

/// The attributes of an item, without `#[` and `]`.
fn attributes(item: TokenStream) -> Vec<String> {
    let mut tokens = item.into_iter();
    let mut found = Vec::new();
    while let Some(TokenTree::Punct(sign)) = tokens.next() {
        match tokens.next() {
            Some(TokenTree::Group(group)) if sign.as_char() == '#' && group.delimiter() == Delimiter::Bracket => {
                found.push(group.stream().to_string());
            }
            _ => break,
        }
    }
    found
}

/// The reason to ignore a test with these attributes; none where it runs, or is ignored for a reason of its own.
fn added(named: &str, attributes: &[String], missing: &[&str]) -> Result<Option<String>, String> {
    let mut reasons = Vec::new();
    for name in named.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let Some(tool) = tools::all().find(|tool| tool.name == name) else {
            let known: Vec<&str> = tools::all().map(|tool| tool.name).collect();
            return Err(format!("no tool is named `{name}`: {}", known.join(", ")));
        };
        if missing.contains(&tool.name) {
            reasons.push(tool.without);
        }
    }
    let begins = |with: &str| {
        attributes.iter().any(|attribute| attribute.split(|sign: char| "( =".contains(sign)).next() == Some(with))
    };
    let is_test = attributes.iter().any(|attribute| {
        let name: String = attribute.split('(').next().unwrap_or_default().split_whitespace().collect();
        name == "test" || name.ends_with("::test")
    });
    // Behind `#[test]` it would come too late, and the test would run.
    if !is_test {
        return Err("`#[needs(…)]` stands before `#[test]`".to_owned());
    }
    Ok((!reasons.is_empty() && !begins("ignore")).then(|| reasons.join(", ")))
}

#[cfg(test)]
mod tests;
