//! TLS of the doors (rustls with ring): our certificate, and which certificates of partners we trust.
//!
//! INVARIANT: a connection to a pinned partner succeeds with exactly the pinned certificate; without
//! pins, only with one that a given authority signed for that host. There is no built-in list of
//! authorities. The module opens no sockets, and does not know who speaks: that is what tokens say.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig,
    SignatureScheme,
};
use zeroize::Zeroizing;

use super::keys::{parse_hex32, to_hex};
use super::private_file::{self, PrivateFileError};

/// The protocol that the doors speak (ALPN).
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The private key could not be read or written.
    #[error(transparent)]
    Key(#[from] PrivateFileError),
    /// A certificate file could not be read.
    #[error("failed to read `{}`: {source}; check the path", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file holds no PEM of the wanted kind.
    #[error("`{}` holds no {what} in PEM; check that it is the right file", path.display())]
    NoPem {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// Key and certificate do not fit, or are of a kind that cannot be used.
    #[error("certificate and key cannot be used: {0}; check that both belong together")]
    Unusable(rustls::Error),
    /// Neither pins nor authorities.
    #[error(
        "no certificate would be trusted; pin the partner's certificate (`certificate_pin`) or name \
         the file of an authority (`tls.ca_file`)"
    )]
    NothingTrusted,
    /// A certificate of an authority cannot be used.
    #[error("a certificate in the authority file cannot be used: {0}; remove it")]
    Authority(rustls::Error),
    /// The authorities cannot be used together.
    #[error("the authorities cannot be used: {0}; check `tls.ca_file`")]
    Authorities(#[from] rustls::client::VerifierBuilderError),
    /// A certificate could not be made for these names.
    #[error(
        "failed to make a certificate: {0}; check that the names are DNS names or IP addresses"
    )]
    Make(#[from] rcgen::Error),
}

/// SHA-256 of a certificate (DER), written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificatePin([u8; 32]);

/// Why a text is no pin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no pin of a certificate; write `sha256:` and 64 hexadecimal digits")]
pub struct PinError(pub String);

impl CertificatePin {
    /// The pin of a certificate in DER.
    pub fn of(certificate_der: &[u8]) -> Self {
        Self(Sha256::digest(certificate_der).into())
    }

    /// The pin of the first certificate in a PEM text; nothing if there is none.
    pub fn of_pem(text: &str) -> Option<Self> {
        let certificate = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
        Some(Self::of(&certificate))
    }

    /// Parses `sha256:` and 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`PinError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, PinError> {
        text.strip_prefix("sha256:")
            .and_then(parse_hex32)
            .map(Self)
            .ok_or_else(|| PinError(text.chars().take(80).collect()))
    }

    fn matches(&self, certificate: &CertificateDer<'_>) -> bool {
        self.0.ct_eq(&Self::of(certificate).0).into()
    }
}

impl fmt::Display for CertificatePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", to_hex(&self.0))
    }
}

impl TryFrom<String> for CertificatePin {
    type Error = PinError;
    fn try_from(text: String) -> Result<Self, PinError> {
        Self::parse(&text)
    }
}

impl From<CertificatePin> for String {
    fn from(pin: CertificatePin) -> String {
        pin.to_string()
    }
}

/// A certificate and its key, both in PEM.
pub struct SelfSigned {
    /// The certificate, for the partners.
    pub certificate_pem: String,
    /// The private key (PKCS#8), for the node alone.
    pub key_pem: Zeroizing<String>,
}

impl SelfSigned {
    /// Makes an ECDSA P-256 certificate for DNS names and IP addresses, as `interlock init` does.
    ///
    /// It has no end that anybody would wait for (year 4096): partners pin it, and a pin is replaced
    /// by a person. The key is drawn by ring.
    ///
    /// # Errors
    /// [`TlsError::Make`] for a name that is neither.
    pub fn make(names: &[String]) -> Result<Self, TlsError> {
        let key = rcgen::KeyPair::generate()?;
        let params = rcgen::CertificateParams::new(names)?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate_pem: pem("CERTIFICATE", certificate.der()),
            key_pem: Zeroizing::new(pem("PRIVATE KEY", key.serialized_der())),
        })
    }
}

/// PEM with lines of 64 characters (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut text = format!("-----BEGIN {label}-----\n");
    for (index, letter) in body.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text
}

/// All certificates of a PEM file.
///
/// # Errors
/// [`TlsError::Read`] or [`TlsError::NoPem`]; a file without certificate is an error.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = std::fs::read(path).map_err(|source| TlsError::Read {
        path: path.into(),
        source,
    })?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(TlsError::NoPem {
            path: path.into(),
            what: "certificate",
        }),
    }
}

/// How our doors present themselves: the chain in `certificate_file`, the key in `key_file` (which
/// only its owner may read). Callers are not asked for certificates: tokens say who they are.
///
/// # Errors
/// [`TlsError`] if a file cannot be read or both do not belong together.
pub fn server_config(
    certificate_file: &Path,
    key_file: &Path,
) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = read_certificates(certificate_file)?;
    let key_text = private_file::read(key_file)?;
    let key = PrivateKeyDer::from_pem_slice(key_text.as_bytes()).map_err(|_| TlsError::NoPem {
        path: key_file.into(),
        what: "private key",
    })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Unusable)?;
    config.alpn_protocols = vec![ALPN_HTTP1.to_vec()];
    Ok(Arc::new(config))
}

/// Whose certificates a client accepts. Build one for each partner that has a pin, so that partners
/// cannot stand in for each other, and one with the authorities for all others.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// If not empty, these certificates and no others.
    pub pins: Vec<CertificatePin>,
    /// Otherwise, certificates for the host that is called, signed by one of these.
    pub authorities: Vec<CertificateDer<'static>>,
}

/// How we call partners.
///
/// # Errors
/// [`TlsError::NothingTrusted`] if `trust` is empty, [`TlsError::Authority`] if an authority cannot
/// be used.
pub fn client_config(trust: &Trust) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let verifier: Arc<dyn ServerCertVerifier> = if !trust.pins.is_empty() {
        Arc::new(PinVerifier {
            pins: trust.pins.clone(),
            provider: Arc::clone(&provider),
        })
    } else if trust.authorities.is_empty() {
        return Err(TlsError::NothingTrusted);
    } else {
        let mut roots = RootCertStore::empty();
        for authority in &trust.authorities {
            roots.add(authority.clone()).map_err(TlsError::Authority)?;
        }
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()?
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unusable)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_HTTP1.to_vec()];
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Accepts exactly the pinned certificates. Names and dates in them are not looked at: the pin is for
/// this partner, and ends when a person replaces it. The handshake's signature is checked, so that
/// the other side is known to hold the key.
#[derive(Debug)]
struct PinVerifier {
    pins: Vec<CertificatePin>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.pins.iter().any(|pin| pin.matches(end_entity)) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::super::private_file::tests::Scratch;
    use super::*;

    /// Writes a certificate for `localhost` and gives its files and pin.
    fn node(scratch: &Scratch, name: &str) -> (PathBuf, PathBuf, CertificatePin) {
        let made = SelfSigned::make(&["localhost".into(), "127.0.0.1".into()]).unwrap();
        let certificate = scratch.0.join(format!("{name}.crt"));
        let key = scratch.0.join(format!("{name}.key"));
        std::fs::write(&certificate, &made.certificate_pem).unwrap();
        private_file::create(&key, &made.key_pem).unwrap();
        let pin = CertificatePin::of_pem(&made.certificate_pem).unwrap();
        (certificate, key, pin)
    }

    /// One connection on loopback; what the client got, and the failure of the client if any.
    fn handshake(
        server: Arc<ServerConfig>,
        client: Arc<ClientConfig>,
        host: &'static str,
    ) -> Result<(), String> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let serving = tokio::spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = TlsAcceptor::from(server).accept(stream).await.ok()?;
                let mut got = [0u8; 4];
                stream.read_exact(&mut got).await.ok()?;
                stream.write_all(&got).await.ok()?;
                stream.shutdown().await.ok()
            });
            let stream = TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from(host).unwrap();
            let connected = TlsConnector::from(client).connect(name, stream).await;
            let mut stream = match connected {
                Ok(stream) => stream,
                Err(error) => {
                    assert!(serving.await.unwrap().is_none());
                    return Err(error.to_string());
                }
            };
            stream.write_all(b"ping").await.unwrap();
            let mut got = [0u8; 4];
            stream.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"ping");
            Ok(())
        })
    }

    #[test]
    fn a_pinned_certificate_is_accepted_and_another_refused() {
        let scratch = Scratch::new("tls-pin");
        let (certificate, key, pin) = node(&scratch, "a");
        let (other_certificate, other_key, _) = node(&scratch, "b");
        let trust = Trust {
            pins: vec![pin],
            authorities: Vec::new(),
        };
        let client = client_config(&trust).unwrap();
        let server = server_config(&certificate, &key).unwrap();
        assert_eq!(handshake(server, Arc::clone(&client), "localhost"), Ok(()));
        let impostor = server_config(&other_certificate, &other_key).unwrap();
        assert!(handshake(impostor, client, "localhost").is_err());
    }

    #[test]
    fn an_authority_vouches_for_its_host_alone() {
        let scratch = Scratch::new("tls-ca");
        let (certificate, key, _) = node(&scratch, "a");
        let (other_certificate, other_key, _) = node(&scratch, "b");
        let trust = Trust {
            pins: Vec::new(),
            authorities: read_certificates(&certificate).unwrap(),
        };
        let client = client_config(&trust).unwrap();
        let server = server_config(&certificate, &key).unwrap();
        assert_eq!(
            handshake(Arc::clone(&server), Arc::clone(&client), "localhost"),
            Ok(())
        );
        assert!(handshake(server, Arc::clone(&client), "other.example").is_err());
        let impostor = server_config(&other_certificate, &other_key).unwrap();
        assert!(handshake(impostor, client, "localhost").is_err());
    }

    #[test]
    fn a_pin_excludes_authorities() {
        let scratch = Scratch::new("tls-both");
        let (certificate, key, _) = node(&scratch, "a");
        let trust = Trust {
            pins: vec![CertificatePin::of(b"another")],
            authorities: read_certificates(&certificate).unwrap(),
        };
        let server = server_config(&certificate, &key).unwrap();
        let client = client_config(&trust).unwrap();
        assert!(handshake(server, client, "localhost").is_err());
    }

    #[test]
    fn bad_files_are_refused() {
        let scratch = Scratch::new("tls-bad");
        let (certificate, key, _) = node(&scratch, "a");
        let (_, other_key, _) = node(&scratch, "b");
        let missing = scratch.0.join("missing");
        assert!(matches!(
            server_config(&missing, &key),
            Err(TlsError::Read { .. })
        ));
        assert!(matches!(
            server_config(&key, &key),
            Err(TlsError::NoPem {
                what: "certificate",
                ..
            })
        ));
        assert!(matches!(
            server_config(&certificate, &other_key),
            Err(TlsError::Unusable(_))
        ));
        std::fs::set_permissions(&certificate, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(
            server_config(&certificate, &certificate),
            Err(TlsError::NoPem {
                what: "private key",
                ..
            })
        ));
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            server_config(&certificate, &key),
            Err(TlsError::Key(PrivateFileError::Mode { .. }))
        ));
        assert!(matches!(
            client_config(&Trust::default()),
            Err(TlsError::NothingTrusted)
        ));
        assert!(SelfSigned::make(&["not a name\u{e9}".into()]).is_err());
    }

    #[test]
    fn pins_are_written_one_way() {
        let pin = CertificatePin::of(b"");
        let text = pin.to_string();
        assert_eq!(
            text,
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(CertificatePin::parse(&text), Ok(pin));
        for bad in ["", "sha256:", &text[7..], "sha256:zz", "sha1:00"] {
            assert!(CertificatePin::parse(bad).is_err(), "{bad}");
        }
    }
}
