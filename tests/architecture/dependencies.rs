//! What the dependencies ask of the compiler.

use serde_json::Value;
use std::process::Command;

/// The words of `program`'s output.
fn output_of(program: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `1.94.1` as numbers; what is left out is 0.
fn version(text: &str) -> [u32; 3] {
    let mut version = [0; 3];
    for (number, part) in version.iter_mut().zip(text.split('.')) {
        *number = part.parse().unwrap();
    }
    version
}

/// The packages that ask for a newer compiler than `ours`.
fn newer(packages: &[Value], ours: &str) -> Vec<String> {
    let asks = |package: &Value| {
        let wanted = package["rust_version"].as_str()?;
        let is_newer = version(wanted) > version(ours);
        is_newer.then(|| format!("{} {} asks for {wanted}", package["name"], package["version"]))
    };
    packages.iter().filter_map(asks).collect()
}

#[test]
fn no_dependency_asks_for_a_newer_compiler_than_we_do() {
    let about = output_of("rustc", &["-vV"]);
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let arguments = ["metadata", "--locked", "--format-version", "1", "--filter-platform", host];
    let metadata: Value = serde_json::from_str(&output_of(env!("CARGO"), &arguments)).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "only {} packages", packages.len());
    let newer = newer(packages, env!("CARGO_PKG_RUST_VERSION"));
    assert!(newer.is_empty(), "\n{}", newer.join("\n"));
}

#[test]
fn a_dependency_that_asks_for_a_newer_compiler_is_found() {
    let package = |wanted: &str| serde_json::json!({"name": "a", "version": "1.0.0", "rust_version": wanted});
    let packages = [package("1.95"), package("1.94.1"), package("1.94"), package("1.94.2"), package("2.0")];
    assert_eq!(newer(&packages, "1.94.1").len(), 3);
    assert!(newer(&[serde_json::json!({"name": "a", "rust_version": null})], "1.0").is_empty());
}
