//! What is given to others: the release of this machine, and those of all platforms.

use std::path::Path;
use std::time::Instant;

use crate::chores::install;
use crate::{Done, bash, is_there, pinned, run, run_with, said_by, target};

/// krew takes no plugin that is larger.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

const TARGETS: &str = "x86_64-unknown-linux-musl aarch64-unknown-linux-musl x86_64-pc-windows-gnu aarch64-pc-windows-gnullvm \
                       aarch64-apple-darwin x86_64-apple-darwin";

pub(crate) fn size() -> Done {
    run(&["cargo", "build", "--release", "--locked", "--bin", "kubectl-deepdesk"])?;
    let built = target().join("release/kubectl-deepdesk");
    let sections = said_by(&["readelf", "-SW", &built.display().to_string()])?;
    // Of this machine's own C library. What is released has its relocations packed into a hundredth (krew/build); here they are not.
    let relocations = sections
        .lines()
        .find(|line| line.contains(" .rela.dyn "))
        .and_then(|line| line.split_whitespace().rev().nth(5));
    let relocations = relocations.and_then(|size| u64::from_str_radix(size, 16).ok()).unwrap_or(0);
    let size = std::fs::metadata(&built).map_err(|error| error.to_string())?.len() - relocations;
    println!("release binary: {size} bytes, and {relocations} of relocations that a release packs");
    if size < MOST_BYTES { Ok(()) } else { Err(format!("the release binary has outgrown {MOST_BYTES} bytes")) }
}

pub(crate) fn krew() -> Done {
    run(&["krew/release", "--check"])?;
    run(&["krew/release"])?;
    run(&["krew/release", "--out", "target/krew-again"])?;
    bash(
        r#"for archive in target/krew-again/*.tar.gz; do
          cmp "$archive" "target/krew/${archive##*/}" || { echo "error: the same binary made another archive"; exit 1; }
        done"#,
    )?;
    run(&["krew/rehearse"])
}

/// As root on Debian.
pub(crate) fn tools() -> Done {
    let packages = [
        "qemu-user-static",
        "wine",
        "wine64",
        "gcc-mingw-w64-x86-64",
        "gcc-aarch64-linux-gnu",
        "libc6-dev-arm64-cross",
    ];
    let installed = |package: &&str| {
        said_by(&["dpkg-query", "-W", "-f", "${Status}", package]).is_ok_and(|status| status.ends_with(" installed"))
    };
    install(&packages.into_iter().filter(|package| !installed(package)).collect::<Vec<_>>())?;
    let zig = pinned("ZIG")?;
    if said_by(&["python3", "-m", "ziglang", "version"]).is_ok_and(|version| version == zig)
        && is_there("cargo-zigbuild")
    {
        // As pinned.
    } else {
        run(&[
            "pip",
            "install",
            "-q",
            &format!("ziglang=={zig}"),
            &format!("cargo-zigbuild=={}", pinned("ZIGBUILD")?),
        ])?;
    }
    for (tool, pin) in [("cargo-auditable", "AUDITABLE"), ("cargo-cyclonedx", "CYCLONEDX")] {
        if !is_there(tool) {
            run(&["cargo", "install", "--locked", &format!("{tool}@{}", pinned(pin)?)])?;
        }
    }
    Ok(())
}

fn targets() -> Vec<String> {
    let set = std::env::var("TARGETS").unwrap_or_else(|_| TARGETS.to_owned());
    set.split_whitespace().map(str::to_owned).collect()
}

/// The folder of the archives.
fn out() -> String {
    target().join("krew").display().to_string()
}

pub(crate) fn archives() -> Done {
    let _ = std::fs::remove_dir_all(out());
    for target in targets() {
        let begun = Instant::now();
        run(&["krew/release", "--target", &target, "--out", &out()])?;
        println!("{target}: {} min {} s", begun.elapsed().as_secs() / 60, begun.elapsed().as_secs() % 60);
    }
    bash(&format!("cd '{}' && sha256sum -c SHA256SUMS", out()))
}

/// Those of them that this machine can run, natively or under an emulator.
pub(crate) fn exercise() -> Done {
    for platform in ["linux-amd64", "linux-arm64", "windows-amd64"] {
        let unpacked = Path::new(&out()).join("unpacked").join(platform).display().to_string();
        bash(&format!(
            r#"for archive in '{out}'/kubectl-deepdesk-v*-{platform}.{{tar.gz,zip}}; do
              [ -e "$archive" ] || continue
              mkdir -p '{unpacked}'
              python3 -c 'import shutil, sys; shutil.unpack_archive(sys.argv[1], sys.argv[2])' "$archive" '{unpacked}'
              chmod +x '{unpacked}'/kubectl-deepdesk*
              krew/exercise {} '{unpacked}'/kubectl-deepdesk*
              exit
            done
            echo "error: there is no archive of {platform} in {out}: cargo xtask archives"
            exit 1"#,
            platform.replace('-', "/"),
            out = out(),
        ))?;
    }
    Ok(())
}

pub(crate) fn rehearse() -> Done {
    run(&["krew/rehearse", "--all", &out()])
}

/// The same commit in another folder, with nothing of the first build.
pub(crate) fn again() -> Done {
    let triple = targets().into_iter().next().unwrap_or_default();
    run_with(
        &[
            "bash",
            "-euo",
            "pipefail",
            "-c",
            r#"elsewhere=$(mktemp -d)
            git clone -q . "$elsewhere/another/folder"
            built=$(cd "$elsewhere/another/folder" && CARGO_TARGET_DIR=$elsewhere/built krew/build "$0")
            cmp "$built" "$(krew/build "$0")" || { echo "error: $0: two builds of one commit differ: $built and the one here"; exit 1; }
            sha256sum "$built"
            rm -rf "$elsewhere""#,
            &triple,
        ],
        &[("CARGO_TARGET_DIR", &target().display().to_string())],
    )
}
