//! How the page looks. It is allowed by its hash, and no other style is: a text that got around `esc` could not even
//! change the looks. A literal, since `include_str!` would keep the line ends of whoever checked it out.

/// The page's only style. After a change the test below says the new hash.
pub(super) const STYLE: &str = "
:root { color-scheme: light; --ink: #1c2128; --soft: #59636e; --line: #d1d9e0; --old: #7c8ba1; --new: #1f9d63;
  --open: #c98a12; --bad: #c0362c; --warn: #9a6700; --step: #4a72b0; }
* { box-sizing: border-box; }
html { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
body { margin: 0 auto; padding: 28px 24px 48px; max-width: 960px; background: #fff; color: var(--ink);
  font: 14px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', Arial, sans-serif; }
h1 { font-size: 24px; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 20px; margin: 40px 0 4px; padding-top: 14px; border-top: 2px solid var(--ink); }
h3 { font-size: 15px; margin: 26px 0 8px; }
h1, h2, h3 { break-after: avoid; }
p { margin: 6px 0; }
code, .mono { font: 12.5px/1.5 ui-monospace, 'SFMono-Regular', 'DejaVu Sans Mono', 'Liberation Mono', Menlo, Consolas, monospace; }
td, dd, li, p { overflow-wrap: anywhere; }
.lead { font-size: 16px; }
.soft { color: var(--soft); }
.badge { display: inline-block; padding: 0 9px; border-radius: 10px; border: 1px solid; font-size: 13px; font-weight: 600;
  line-height: 20px; vertical-align: 3px; margin-left: 8px; white-space: nowrap; }
.good { color: #116b41; } .badge.good { background: #e3f6ec; }
.bad { color: var(--bad); } .badge.bad { background: #fdebe9; }
.warn { color: var(--warn); } .badge.warn { background: #fdf4dc; }
.badge.plain { color: var(--soft); background: #f3f5f7; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 20px; margin: 14px 0; }
dt { color: var(--soft); } dd { margin: 0; }
.outcome { border-left: 4px solid var(--line); background: #f6f8fa; padding: 8px 14px; margin: 14px 0; break-inside: avoid; }
.outcome.bad { border-color: var(--bad); } .outcome.warn { border-color: #d4a72c; } .outcome.good { border-color: var(--new); }
.outcome p, .outcome li { color: var(--ink); }
.outcome ul { margin: 4px 0; padding-left: 20px; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th { text-align: left; font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--soft); padding: 3px 12px 3px 0;
  white-space: nowrap; }
td { border-bottom: 1px solid var(--line); padding: 4px 12px 4px 0; vertical-align: top; }
td.mono, td.tight { white-space: nowrap; overflow-wrap: normal; }
td.long { white-space: normal; overflow-wrap: anywhere; min-width: 26ch; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
thead { display: table-header-group; } tr { break-inside: avoid; }
figure { margin: 8px 0; } figure svg { display: block; width: 100%; height: auto; break-inside: avoid; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 18px; font-size: 12px; color: var(--soft); margin: 6px 0 0; }
.legend { break-inside: avoid; } .legend span { white-space: nowrap; } .legend svg { display: inline-block; width: 30px; height: 11px; margin-right: 5px; }
svg text { font: 11px ui-monospace, 'SFMono-Regular', 'DejaVu Sans Mono', 'Liberation Mono', Menlo, Consolas, monospace;
  fill: var(--ink); }
svg text.band { font-weight: 700; } svg text.tick, svg text.soft { fill: var(--soft); } svg text.end { text-anchor: end; }
svg text.middle { text-anchor: middle; }
svg .grid { stroke: #e4e8ec; } svg .frame { stroke: var(--line); fill: none; }
svg .shade { fill: #f7c9c4; fill-opacity: .55; } svg .edge { stroke: var(--bad); stroke-dasharray: 2 2; }
svg .step { fill: var(--step); } svg .failed { fill: var(--bad); } svg .skipped { fill: #b9c2cc; }
svg .ask { stroke: var(--ink); stroke-width: 1.5; }
svg .old { fill: var(--old); stroke: var(--old); } svg .new { fill: var(--new); stroke: var(--new); }
svg .open { fill: var(--open); stroke: var(--open); }
svg .starting { fill: #fff; } svg .leaving { fill-opacity: .35; stroke-dasharray: 2 2; }
.passed { columns: 2; column-gap: 28px; list-style: none; padding: 0; margin: 10px 0; font-size: 13px; }
.passed li { padding: 2px 0; break-inside: avoid; } .passed code { margin: 0 6px; }
footer { margin-top: 40px; padding-top: 10px; border-top: 1px solid var(--line); font-size: 12px; color: var(--soft); }
@page { size: A4; margin: 14mm 13mm; }
@media print {
  body { padding: 0; max-width: none; font-size: 11.5px; } table, .passed { font-size: 10.5px; }
  h1 { font-size: 19px; } h2 { font-size: 16px; } h3 { font-size: 13px; margin-top: 18px; } .lead { font-size: 13px; }
  code, .mono { font-size: 10px; } .legend { font-size: 10px; } section.account + section.account { break-before: page; }
}
";

/// The hash that the page's policy allows.
pub(super) const HASH: &str = "sha256-XsvNGlaNpHfhVCSOZHv0C/Jkx1bQoOEyeG8tU6PVB+c=";

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn the_policy_allows_this_style() {
        let suite = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13().expect("a suite of TLS 1.3");
        let hash = suite.common.hash_provider.hash(super::STYLE.as_bytes());
        assert_eq!(format!("sha256-{}", STANDARD.encode(hash.as_ref())), super::HASH);
    }
}
