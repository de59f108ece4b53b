//! Certificates and keys as people have them: every form that works, and a sentence for every one that does not.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gema_tests::{Authority, openssl};
use gema_tls::{Acceptor, Files, Incoming, LoadError, Part};
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

/// A folder in which keys and certificates are made.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("cnf"), "[req]\ndistinguished_name = name\n[name]\n")
            .expect("a file in it");
        Self(folder)
    }

    /// A key and a certificate that it has signed itself.
    fn certificate(&self, name: &str, kind: &[&str]) -> Files {
        let (cert, key) = (format!("{name}.pem"), format!("{name}.key"));
        let request = ["req", "-x509", "-config", "cnf", "-nodes", "-days", "2", "-subj", "/CN=x", "-addext"];
        let rest = ["basicConstraints=CA:FALSE", "-keyout", &key, "-out", &cert, "-newkey"];
        openssl(self.0.path(), &[&request[..], &rest, kind].concat());
        Files { certificate: self.path(&cert), key: self.path(&key) }
    }

    fn ecdsa(&self, name: &str) -> Files {
        self.certificate(name, &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What a command of `openssl` makes of a key.
    fn converted(&self, command: &[&str], from: &Path, to: &str) -> PathBuf {
        openssl(
            self.0.path(),
            &[command, &["-in", from.to_str().expect("a path in UTF-8"), "-out", to]].concat(),
        );
        self.path(to)
    }
}

/// Whether a client of the same process is let in.
async fn shakes_hands(acceptor: &Acceptor) -> bool {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let server = acceptor.clone();
    let server =
        tokio::spawn(async move { server.accept(listener.accept().await.expect("a client").0).await });
    let connector = TlsConnector::from(Arc::new(acceptor.own_client().expect("TLS")));
    let stream = TcpStream::connect(address).await.expect("a connection");
    let client = connector.connect(ServerName::from(address.ip()), stream).await;
    client.is_ok() && matches!(server.await.expect("it does not panic"), Ok(Incoming::Tls(_)))
}

#[tokio::test]
async fn keys_work_in_every_form_that_openssl_writes() {
    let folder = Folder::new();
    let rsa = folder.certificate("rsa", &["rsa:2048"]);
    let ecdsa = folder.ecdsa("ecdsa");
    let p384 = folder.certificate("p384", &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    let ed25519 = folder.certificate("ed25519", &["ed25519"]);
    let pkcs1 = folder.converted(&["rsa", "-traditional"], &rsa.key, "pkcs1.key");
    let sec1 = folder.converted(&["ec"], &ecdsa.key, "sec1.key");
    let begins = |path: &Path, words: &str| fs::read_to_string(path).unwrap().starts_with(words);
    assert!(begins(&rsa.key, "-----BEGIN PRIVATE KEY-----"));
    assert!(begins(&pkcs1, "-----BEGIN RSA PRIVATE KEY-----"));
    assert!(begins(&sec1, "-----BEGIN EC PRIVATE KEY-----"));
    let others = [Files { key: pkcs1, ..rsa.clone() }, Files { key: sec1, ..ecdsa.clone() }];
    for files in [rsa, ecdsa, p384, ed25519].into_iter().chain(others) {
        let acceptor = Acceptor::open(files.clone()).unwrap();
        assert!(shakes_hands(&acceptor).await, "{files:?}");
    }
}

#[tokio::test]
async fn one_file_may_hold_it_all_in_any_order_with_anything_between() {
    let folder = Folder::new();
    let files = folder.ecdsa("a");
    let parameters = "-----BEGIN EC PARAMETERS-----\r\nBggqhkjOPQMBBw==\r\n-----END EC PARAMETERS-----\r\n";
    let (key, cert) =
        (fs::read_to_string(&files.key).unwrap(), fs::read_to_string(&files.certificate).unwrap());
    let all = folder.path("all.pem");
    fs::write(&all, format!("# made by hand\n{parameters}{key}\n\nCertificate:\n    of mine\n{cert}"))
        .unwrap();
    let acceptor = Acceptor::open(Files { certificate: all.clone(), key: all }).unwrap();
    assert!(shakes_hands(&acceptor).await);
}

fn refusal(certificate: &Path, key: &Path) -> LoadError {
    let files = Files { certificate: certificate.to_owned(), key: key.to_owned() };
    Acceptor::open(files).expect_err("this cannot be served")
}

#[test]
fn what_cannot_be_served_is_said_in_one_sentence_with_a_way_out() {
    let folder = Folder::new();
    let (Files { certificate, key }, other) = (folder.ecdsa("a"), folder.ecdsa("b"));
    let locked = ["pkcs8", "-topk8", "-passout", "pass:hush"];
    let locked = folder.converted(&locked, &key, "locked.key");
    let old_locked = folder.converted(&["ec", "-aes256", "-passout", "pass:hush"], &key, "old-locked.key");
    let der = folder.converted(&["x509", "-outform", "DER"], &certificate, "a.der");
    let weak = folder.certificate("weak", &["rsa:1024"]);
    let text = fs::read_to_string(&key).unwrap();
    let write = |name: &str, text: &str| {
        fs::write(folder.path(name), text).unwrap();
        folder.path(name)
    };
    let cut = write("cut.key", &text[..text.len() - 30]);
    let empty = write("empty.pem", "");
    let no_der = write("no-der.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let missing = folder.path("missing.pem");
    let table: [(&Path, &Path, Part, &str); 12] = [
        (&missing, &key, Part::Certificate, "cannot be read (No such file"),
        (folder.0.path(), &key, Part::Certificate, "cannot be read (Is a directory"),
        (&certificate, &missing, Part::Key, "cannot be read (No such file"),
        (&empty, &key, Part::Certificate, "holds no certificate"),
        (&key, &key, Part::Certificate, "holds no certificate"),
        (&der, &key, Part::Certificate, "holds no certificate in PEM form"),
        (&no_der, &key, Part::Certificate, "holds a certificate that cannot be used"),
        (&certificate, &certificate, Part::Key, "holds no private key"),
        (&certificate, &cut, Part::Key, "is no valid PEM file"),
        (&weak.certificate, &weak.key, Part::Key, "RSA of 2048 bits or more"),
        (&certificate, &locked, Part::Key, "unlock it with `openssl pkey"),
        (&certificate, &old_locked, Part::Key, "unlock it with `openssl pkey"),
    ];
    let secret: String = text.lines().nth(1).unwrap().chars().take(20).collect();
    for (certificate, key, part, words) in table {
        let error = refusal(certificate, key);
        let (sentence, at_fault) = (error.to_string(), if part == Part::Key { key } else { certificate });
        assert!(error.part == part && sentence.contains(words), "{words}: {sentence}");
        assert!(sentence.starts_with(&format!("{} ", at_fault.display())), "{sentence}");
        assert!(!sentence.contains('\n') && !sentence.contains(&secret), "{sentence}");
    }
    let mismatch = refusal(&certificate, &other.key).to_string();
    assert!(mismatch.contains("is not the key of the first certificate in"), "{mismatch}");
    assert!(mismatch.contains(&certificate.display().to_string()), "{mismatch}");
}

#[test]
fn a_chain_in_the_wrong_order_is_a_mismatch() {
    let authority = Authority::new();
    let certificate = authority.issue("server");
    let own = fs::read_to_string(&certificate.cert).unwrap();
    let root = fs::read_to_string(authority.root()).unwrap();
    fs::write(&certificate.cert, format!("{own}{root}")).unwrap();
    Acceptor::open(Files { certificate: certificate.cert.clone(), key: certificate.key.clone() }).unwrap();
    fs::write(&certificate.cert, format!("{root}{own}")).unwrap();
    let error = refusal(&certificate.cert, &certificate.key).to_string();
    assert!(error.contains("put the server's own certificate before its chain"), "{error}");
}

#[tokio::test]
async fn a_change_is_seen_once_and_a_bad_one_changes_nothing() {
    let folder = Folder::new();
    let files = folder.ecdsa("a");
    let acceptor = Acceptor::open(files.clone()).unwrap();
    assert!(!acceptor.renew_if_changed().unwrap(), "nothing has changed");

    // As certbot does it: a new file takes the place of the old one, here with the very same content first.
    let replace = |from: &Path, to: &Path| {
        fs::copy(from, folder.path("new")).unwrap();
        fs::rename(folder.path("new"), to).unwrap();
    };
    let same = files.certificate.clone();
    replace(&same, &files.certificate);
    assert!(acceptor.renew_if_changed().unwrap());
    assert!(!acceptor.renew_if_changed().unwrap());

    let other = folder.ecdsa("b");
    replace(&other.certificate, &files.certificate);
    assert_eq!(acceptor.renew_if_changed().unwrap_err().part, Part::Key, "its key has not come yet");
    assert!(!acceptor.renew_if_changed().unwrap(), "which is said once");
    assert!(shakes_hands(&acceptor).await, "the old certificate serves on");
    replace(&other.key, &files.key);
    assert!(acceptor.renew_if_changed().unwrap());
    assert!(
        shakes_hands(&acceptor).await,
        "and so does the new one, for the client of the same process, too"
    );
}

#[tokio::test]
async fn the_own_client_trusts_no_other_listener() {
    let folder = Folder::new();
    let (ours, others) = (folder.ecdsa("a"), folder.ecdsa("b"));
    let (ours, others) = (Acceptor::open(ours).unwrap(), Acceptor::open(others).unwrap());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { others.accept(listener.accept().await.unwrap().0).await });
    let connector = TlsConnector::from(Arc::new(ours.own_client().unwrap()));
    let stream = TcpStream::connect(address).await.unwrap();
    assert!(connector.connect(ServerName::from(address.ip()), stream).await.is_err());
}

/// Time is tokio's and moves when nothing else does.
#[tokio::test(start_paused = true)]
async fn a_client_has_its_time_for_the_handshake_and_no_more() {
    use tokio::io::AsyncWriteExt as _;

    let acceptor = Acceptor::open(Folder::new().ecdsa("a")).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    for begun in [&b""[..], &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]] {
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.write_all(begun).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let error = acceptor.accept(server).await.expect_err("it never ends by itself");
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    }
}
