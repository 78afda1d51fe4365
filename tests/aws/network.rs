//! What lies between a gateway and AWS, and lies to it: clocks, proxies, other hosts, pages of other servers; and the
//! way there over TLS.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::StreamOwned;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::support::cloud_side::Cloud;
use crate::support::cloud_side::firmware;
use crate::support::credential_provider::tls_file;
use crate::support::fake_aws::Fault;
use crate::support::fake_aws::Op;
use crate::support::scratch::Scratch;

const TASK: &str = "6d2f0c1e-0000-4000-8000-000000000001";
const IMAGE: &str = "s3://fw-bucket/app.bin";
const ROLE: &str = "arn:aws:iam::123456789012:role/fuota-read";
const IDENTITY: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/tls</Arn>\
                        </GetCallerIdentityResult></GetCallerIdentityResponse>";

#[test]
fn a_clock_that_is_an_hour_wrong_is_learned_once() {
    for ahead_s in [3600, -3600] {
        let bytes = firmware(300_000);
        let mut cloud = Cloud::start("an-hour", |fake, _| {
            fake.put_task(TASK, "Pending", None, IMAGE);
            fake.put_object("fw-bucket/app.bin", &bytes, true);
            fake.world().ahead_s = ahead_s;
        });
        cloud.task();
        cloud.fetch(IMAGE);
        assert!(cloud.image() == Ok(bytes), "{}", cloud.log());
        cloud.fake.wait(Op::GetTask, 3);
        // One is refused and tried again; all others are signed with the time of the services.
        let dates: Vec<String> =
            cloud.fake.world().requests.iter().map(|request| request.headers["x-amz-date"].clone()).collect();
        let first = &dates[0][..11];
        let like_the_first = dates.iter().filter(|date| date.starts_with(first)).count();
        assert_eq!(like_the_first, 1, "{dates:?}");
        assert!(!cloud.log().contains("clock"), "{}", cloud.log());
    }
}

#[test]
fn what_is_no_answer_of_a_service_is_told_as_such() {
    let mut wrong = Vec::new();
    for (fault, said) in [
        (Fault::Body("<html><h1>Please log in</h1></html>"), "the answer cannot be read"),
        (Fault::Html(403), "denied (403)"),
        (Fault::Html(502), "the service answered 502"),
        (Fault::Empty(403), "denied (403)"),
        (Fault::Untyped(403, "AccessDeniedException"), "denied (AccessDeniedException)"),
        (Fault::Untyped(400, "ThrottlingException"), "throttled (ThrottlingException)"),
        (
            Fault::Redirect("https://user:CANARY@portal.example/login".to_owned()),
            "redirected (307) to portal.example",
        ),
    ] {
        let mut cloud = Cloud::start("no-answer", |fake, _| {
            fake.put_task(TASK, "Pending", None, IMAGE);
            fake.fail(Op::GetTask, vec![fault.clone(); 100_000]);
        });
        cloud.fake.wait_for(Op::GetTask, 4);
        cloud.assert_no_fact();
        if !cloud.log().contains(said) {
            wrong.push(format!("{fault:?} is not {said:?} but\n{}", cloud.log()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_role_of_the_profile_is_assumed_with_the_keys_of_its_source() {
    let mut cloud = Cloud::start("profile-role", |fake, settings| {
        fake.put_task(TASK, "Pending", None, IMAGE);
        fake.world().roles = vec![ROLE.to_owned()];
        let text = format!(
            "[gateway]\nrole_arn = {ROLE}\nsource_profile = base\nexternal_id = roof\n\
             [base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = SECRET/CANARY+base\n"
        );
        std::fs::write(settings.credentials_file.as_ref().unwrap(), text).unwrap();
    });
    cloud.task();
    let key = |op: Op| cloud.fake.requests(op).last().unwrap().headers["authorization"].clone();
    assert!(
        key(Op::Sts).contains("Credential=AKIDBASE/") && key(Op::GetTask).contains("Credential=AKIDASSUMED/")
    );
    assert!(cloud.fake.world().forms[0].contains("ExternalId=roof"), "{:?}", cloud.fake.world().forms);
}

#[test]
fn a_role_of_the_profile_is_assumed_with_a_token_in_a_file_and_that_call_is_not_signed() {
    let scratch = Scratch::new("web-identity");
    let token = scratch.path("token");
    std::fs::write(&token, "eyJ.CANARY.token\n").unwrap();
    let mut cloud = Cloud::start("web-identity", |fake, settings| {
        fake.put_task(TASK, "Pending", None, IMAGE);
        fake.world().roles = vec![ROLE.to_owned()];
        let text = format!("[gateway]\nrole_arn = {ROLE}\nweb_identity_token_file = {}\n", token.display());
        std::fs::write(settings.credentials_file.as_ref().unwrap(), text).unwrap();
    });
    cloud.task();
    let asked = cloud.fake.requests(Op::Sts).last().unwrap().clone();
    assert!(!asked.headers.contains_key("authorization"), "{:?}", asked.headers);
    let form = cloud.fake.world().forms[0].clone();
    assert!(
        form.contains("Action=AssumeRoleWithWebIdentity")
            && form.contains("WebIdentityToken=eyJ.CANARY.token")
    );
    let task = cloud.fake.requests(Op::GetTask).last().unwrap().headers["authorization"].clone();
    assert!(task.contains("Credential=AKIDASSUMED/"));
    assert!(!cloud.log().contains("CANARY"), "{}", cloud.log());
}

#[test]
fn a_profile_whose_roles_are_a_circle_has_no_credentials() {
    let cloud = Cloud::start("profile-circle", |fake, settings| {
        fake.put_task(TASK, "Pending", None, IMAGE);
        let text = format!(
            "[gateway]\nrole_arn = {ROLE}\nsource_profile = other\n[other]\nrole_arn = {ROLE}\nsource_profile = gateway\n"
        );
        std::fs::write(settings.credentials_file.as_ref().unwrap(), text).unwrap();
    });
    while cloud.log().is_empty() {
        std::thread::yield_now();
    }
    assert!(cloud.log().contains("the profile cannot be used"), "{}", cloud.log());
    assert_eq!((cloud.fake.count(Op::Sts), cloud.fake.count(Op::GetTask)), (0, 0));
}

/// A server on loopback that answers one request with `answer`; its address, and the first line of the request.
fn one_answer(tls: Option<ServerConfig>, answer: String) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        match tls {
            Some(tls) => {
                let connection = ServerConnection::new(Arc::new(tls)).unwrap();
                let mut stream = BufReader::new(StreamOwned::new(connection, stream));
                let first = head(&mut stream);
                // Whoever does not trust us hangs up.
                let _ = stream.get_mut().write_all(answer.as_bytes());
                stream.get_mut().conn.send_close_notify();
                let _ = stream.get_mut().flush();
                first
            }
            None => {
                let mut stream = BufReader::new(stream);
                let first = head(&mut stream);
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
                first
            }
        }
    });
    (port, thread)
}

/// The first line of a request, whose head is read to its end.
fn head(stream: &mut impl BufRead) -> String {
    let mut first = String::new();
    let _ = stream.read_line(&mut first);
    let mut line = String::new();
    while stream.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
        line.clear();
    }
    first
}

/// What `fuotad check --online` prints with this [aws] and this environment.
fn check(name: &str, aws: &str, environment: &[(&str, &str)]) -> String {
    let scratch = Scratch::new(name);
    let (path, key) = (scratch.path("online.toml"), scratch.path("mc.key"));
    std::fs::write(&key, "00112233445566778899aabbccddeeff").unwrap();
    let text = format!(
        "[gateway]\nregion = \"EU868\"\n[[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\nsession = \"windows\"\nmc-key-file = {key:?}\n\
         [aws]\n{aws}"
    );
    std::fs::write(&path, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuotad"));
    for name in
        ["AWS_PROFILE", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
    {
        command.env_remove(name);
    }
    command.env("NO_PROXY", "").env("no_proxy", "");
    command.env("AWS_ACCESS_KEY_ID", "AKIDCANARYEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "SECRET/CANARY+key");
    let output =
        command.envs(environment.iter().copied()).args(["check", "--online"]).arg(&path).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("CANARY"), "{said}");
    said
}

fn http_answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

#[test]
fn a_proxy_of_the_environment_is_asked_for_a_tunnel_and_its_refusal_is_told() {
    let (port, proxy) = one_answer(None, http_answer("403 Forbidden", "CANARY"));
    let address = format!("http://user:CANARY@127.0.0.1:{port}");
    let said = check("proxy", "region = \"eu-west-1\"\n", &[("HTTPS_PROXY", &address)]);
    assert_eq!(proxy.join().unwrap(), "CONNECT sts.eu-west-1.amazonaws.com:443 HTTP/1.1\r\n");
    assert!(said.contains("no answer: the proxy of the environment: "), "{said}");
}

#[test]
fn plain_http_is_handed_to_the_proxy_as_it_is() {
    let (port, proxy) = one_answer(None, http_answer("200 OK", IDENTITY));
    let proxy_address = format!("http://127.0.0.1:{port}");
    let environment =
        [("HTTP_PROXY", proxy_address.as_str()), ("AWS_ENDPOINT_URL_STS", "http://sts.lan:9000")];
    let said = check("plain-proxy", "region = \"eu-west-1\"\n", &environment);
    assert_eq!(proxy.join().unwrap(), "POST http://sts.lan:9000/ HTTP/1.1\r\n");
    assert!(said.contains("arn:aws:iam::1:user/tls"), "{said}");
}

#[test]
fn a_region_of_no_partition_is_named_and_nothing_is_sent() {
    let said = check("partition", "region = \"xx-nowhere-1\"\n", &[("HTTPS_PROXY", "http://127.0.0.1:9")]);
    assert!(said.contains("no partition of AWS has a region \"xx-nowhere-1\""), "{said}");
}

#[test]
fn an_endpoint_of_the_environment_is_asked_over_tls_and_must_be_vouched_for() {
    let tls = || {
        let certificate = CertificateDer::from_pem_file(tls_file("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(tls_file("server.key")).unwrap();
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap()
    };
    let ca = tls_file("ca.pem");
    let (port, server) = one_answer(Some(tls()), http_answer("200 OK", IDENTITY));
    let address = format!("https://localhost:{port}");
    let environment = [("SSL_CERT_FILE", ca.to_str().unwrap()), ("AWS_ENDPOINT_URL_STS", &address)];
    let said = check("tls", "region = \"eu-west-1\"\n", &environment);
    assert_eq!(server.join().unwrap(), "POST / HTTP/1.1\r\n");
    assert!(said.contains("arn:aws:iam::1:user/tls"), "{said}");
    // Nobody vouches for it.
    let (port, server) = one_answer(Some(tls()), http_answer("200 OK", IDENTITY));
    let said = check(
        "no-tls",
        "region = \"eu-west-1\"\n",
        &[("AWS_ENDPOINT_URL_STS", &format!("https://localhost:{port}"))],
    );
    assert_eq!(server.join().unwrap(), "");
    assert!(said.contains("no answer: "), "{said}");
}
