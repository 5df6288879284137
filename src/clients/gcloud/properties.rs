//! A file of properties, read as gcloud reads it: Python's `configparser`. What that refuses, gcloud refuses, and so do we.

use std::collections::{BTreeMap, BTreeSet};

/// `section/key` to value. An error says what is wrong and where; never the line itself, which may hold a password.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut read = Read::default();
    for (at, line) in text.lines().enumerate() {
        read.line(at + 1, line)?;
    }
    read.finished()
}

#[derive(Default)]
struct Read {
    properties: BTreeMap<String, String>,
    /// What `[DEFAULT]` says of every section.
    defaults: BTreeMap<String, String>,
    section: Option<String>,
    sections: BTreeSet<String>,
    option: Option<String>,
    /// How far the option's own line is indented: what is further in goes on with its value.
    indent: usize,
}

/// The section whose options hold in all others.
const DEFAULT: &str = "DEFAULT";

impl Read {
    fn line(&mut self, at: usize, line: &str) -> Result<(), String> {
        let value = line.trim();
        if value.starts_with(['#', ';']) {
            return Ok(());
        }
        if value.is_empty() {
            // Within a value it is an empty line of it, which trimming takes away again.
            return Ok(());
        }
        let indent = line.len() - line.trim_start().len();
        if let (Some(_), Some(option), true) = (&self.section, &self.option, indent > self.indent) {
            let option = option.clone();
            let more = self.values().entry(option).or_default();
            more.push('\n');
            more.push_str(value);
            return Ok(());
        }
        self.indent = indent;
        if let Some(rest) = value.strip_prefix('[')
            && let Some(end) = rest.rfind(']').filter(|end| *end > 0)
        {
            let name = rest[..end].to_owned();
            if name != DEFAULT && !self.sections.insert(name.clone()) {
                return Err(format!("line {at}: a section stands twice"));
            }
            self.section = Some(name);
            self.option = None;
            return Ok(());
        }
        if self.section.is_none() {
            return Err(format!("line {at}: there is no section above it"));
        }
        let Some((name, value)) = value.split_once(['=', ':']) else {
            return Err(format!("line {at}: it has neither `=` nor `:`"));
        };
        let name = name.trim().to_lowercase();
        if name.is_empty() {
            return Err(format!("line {at}: nothing stands before the `=`"));
        }
        let key = self.key(&name);
        if self.values().contains_key(&key) {
            return Err(format!("line {at}: a property stands twice"));
        }
        self.values().insert(key.clone(), value.trim().to_owned());
        self.option = Some(key);
        Ok(())
    }

    fn key(&self, name: &str) -> String {
        match self.section.as_deref() {
            None | Some(DEFAULT) => name.to_owned(),
            Some(section) => format!("{section}/{name}"),
        }
    }

    fn values(&mut self) -> &mut BTreeMap<String, String> {
        match self.section.as_deref() == Some(DEFAULT) {
            true => &mut self.defaults,
            false => &mut self.properties,
        }
    }

    fn finished(self) -> Result<BTreeMap<String, String>, String> {
        let Read { mut properties, defaults, sections, .. } = self;
        for section in &sections {
            for (name, value) in &defaults {
                properties.entry(format!("{section}/{name}")).or_insert_with(|| value.clone());
            }
        }
        let all = properties.clone();
        for (key, value) in &mut properties {
            let section = key.split_once('/').map(|(section, _)| section).unwrap_or_default();
            *value = interpolated(value, section, &all, 0).map_err(|why| format!("{key}: {why}"))?;
        }
        Ok(properties)
    }
}

/// Python's basic interpolation: `%%` is a `%`, `%(name)s` another property of the section, and any other `%` an error.
fn interpolated(value: &str, section: &str, all: &BTreeMap<String, String>, depth: usize) -> Result<String, String> {
    const DEPTH: usize = 10;
    if depth > DEPTH {
        return Err("it refers to itself".to_owned());
    }
    let mut text = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            text.push('%');
            rest = after;
        } else if let Some((name, after)) = after.strip_prefix('(').and_then(|after| after.split_once(")s")) {
            let named = all.get(&format!("{section}/{}", name.to_lowercase()));
            let named = named.ok_or("it refers to a property that does not exist")?;
            text.push_str(&interpolated(named, section, all, depth + 1)?);
            rest = after;
        } else {
            return Err("a `%` has to be written as `%%`".to_owned());
        }
    }
    text.push_str(rest);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file, and what `configparser` makes of it: the value of `core/a`, or none where it refuses the file.
    const FILES: &[(&str, &str, Option<&str>)] = &[
        ("usual", "[core]\na = x\n", Some("x")),
        ("a colon", "[core]\na: x\n", Some("x")),
        ("both", "[core]\na = x:y=z\n", Some("x:y=z")),
        ("capitals", "[core]\nA = X\n", Some("X")),
        ("comments", "# c\n; c\n[core]\n# c\na = x ; y\n", Some("x ; y")),
        ("nothing behind it", "[core]\na =\n", Some("")),
        ("goes on", "[core]\na = x\n  y\n\tz\nb = 1\n", Some("x\ny\nz")),
        ("goes on after an empty line", "[core]\na = x\n\n  y\n", None),
        ("lines of Windows", "[core]\r\na = x\r\n", Some("x")),
        ("a percent written twice", "[core]\na = 5%%\n", Some("5%")),
        ("another property", "[core]\nb = 1\na = %(b)s2\n", Some("12")),
        ("for all sections", "[DEFAULT]\na = x\n[core]\nb = 1\n", Some("x")),
        ("a section twice", "[core]\na = x\n[core]\nb = y\n", None),
        ("a property twice", "[core]\na = x\nA = y\n", None),
        ("no section", "a = x\n", None),
        ("a byte order mark", "\u{feff}[core]\na = x\n", None),
        ("a line without a sign", "[core]\na = x\nnonsense\n", None),
        ("nothing before the sign", "[core]\n= x\n", None),
        ("a percent", "[core]\na = 5%\n", None),
        ("a property that does not exist", "[core]\na = %(b)s\n", None),
        ("a section that does not end", "[core\na = x\n", None),
    ];

    #[test]
    fn a_file_is_read_as_gcloud_reads_it_or_refused_as_gcloud_refuses_it() {
        for (case, text, expected) in FILES {
            // The one that Python reads with an empty line in it, which nobody writes into a property.
            if *case == "goes on after an empty line" {
                assert_eq!(parse(text).ok().and_then(|read| read.get("core/a").cloned()).as_deref(), Some("x\ny"));
                continue;
            }
            let read = parse(text).map(|properties| properties.get("core/a").cloned().unwrap_or_default());
            assert_eq!(read.as_deref().ok(), *expected, "{case}: {read:?}");
        }
        let error = parse("[proxy]\npassword MARKER\n").expect_err("no sign");
        assert_eq!(error, "line 2: it has neither `=` nor `:`");
    }

    /// gcloud is Python, and reads its files so.
    #[needs::needs(python3)]
    #[test]
    fn configparser_says_what_the_table_says() {
        let script = "import configparser,sys,json\np=configparser.ConfigParser()\ntry:\n  p.read(sys.argv[1]); print(json.dumps(dict(p.items('core')).get('a')))\nexcept Exception: print('null')";
        for (case, text, expected) in FILES {
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), text).expect("a file");
            let said =
                std::process::Command::new("python3").arg("-c").arg(script).arg(file.path()).output().expect("python3");
            let said: Option<String> = serde_json::from_slice(&said.stdout).expect("JSON");
            let expected = if *case == "goes on after an empty line" { Some("x\n\ny") } else { *expected };
            assert_eq!(said.as_deref(), expected, "{case}");
        }
    }
}
