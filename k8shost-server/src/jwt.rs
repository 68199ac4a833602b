//! JSON Web Tokens (RFC 7519) signed with ES256: ECDSA on P-256 with SHA-256, by the library that TLS has too.

use std::sync::Once;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    dangerous::insecure_decode,
    errors::{ErrorKind, Result as JwtResult},
};
use k8shost_types::{Error, Reason};
use ring::{
    digest,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        UnparsedPublicKey,
    },
};
use serde_json::{Value, json};

/// What stands before the point of a P-256 key where a public key is written with its type (RFC 5480).
const PUBLIC_KEY_INFO: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A key that signs tokens. It has no Debug: it is to be in no log.
pub(crate) struct Key {
    /// As PKCS #8.
    private: Vec<u8>,
    /// The point.
    public: Vec<u8>,
}

impl Key {
    /// A new key.
    pub(crate) fn generate() -> Result<Self, Error> {
        let random = SystemRandom::new();
        let private = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|_| Error::new(Reason::Internal, "no key for tokens could be made"))?;
        let private = private.as_ref().to_vec();
        let public = pair(&private).ok_or_else(unusable)?;
        let public = public.public_key().as_ref().to_vec();
        Ok(Self { private, public })
    }

    /// The key as it is stored.
    pub(crate) fn to_stored(&self) -> Value {
        json!({
            "algorithm": "ES256",
            "private": STANDARD.encode(&self.private),
            "public": STANDARD.encode(&self.public),
        })
    }

    /// A stored key.
    pub(crate) fn of_stored(stored: &Value) -> Result<Self, Error> {
        let bytes = |field: &str| {
            let text = stored[field].as_str().ok_or_else(unusable)?;
            STANDARD.decode(text).map_err(|_| unusable())
        };
        Ok(Self {
            private: bytes("private")?,
            public: bytes("public")?,
        })
    }

    /// Its name: a digest of the public key.
    fn id(&self) -> String {
        let info = [&PUBLIC_KEY_INFO[..], &self.public].concat();
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &info))
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> Result<String, Error> {
        install();
        let mut header = Header::new(Algorithm::ES256);
        header.typ = None;
        header.kid = Some(self.id());
        let key = EncodingKey::from_ec_der(&self.private);
        jsonwebtoken::encode(&header, claims, &key).map_err(|_| unusable())
    }

    /// Whether a token is signed with this key and no other.
    pub(crate) fn has_signed(&self, token: &str) -> bool {
        install();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let key = DecodingKey::from_ec_der(&self.public);
        jsonwebtoken::decode::<Value>(token, &key, &validation).is_ok()
    }

    /// Whether a token that names its key means this one.
    pub(crate) fn is_meant(&self, header: &Header) -> bool {
        let named = header.kid.as_deref().filter(|id| !id.is_empty());
        named.is_none_or(|id| id == self.id())
    }
}

/// The header and the claims of a token, be they true or not.
pub(crate) fn peek(token: &str) -> Option<(Header, Value)> {
    let data = insecure_decode::<Value>(token).ok()?;
    Some((data.header, data.claims))
}

fn unusable() -> Error {
    Error::new(Reason::Internal, "the key for tokens cannot be used")
}

fn pair(private: &[u8]) -> Option<EcdsaKeyPair> {
    let random = SystemRandom::new();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private, &random).ok()
}

/// Has tokens signed and checked by what is below.
fn install() {
    static INSTALLED: Once = Once::new();
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |algorithm, key| match algorithm {
            Algorithm::ES256 => {
                let pair = pair(key.as_bytes()).ok_or(ErrorKind::InvalidEcdsaKey)?;
                Ok(Box::new(Es256Signer(pair)))
            }
            _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
        },
        verifier_factory: verifier,
        key_utils: KeyUtils::new_unimplemented(),
    };
    INSTALLED.call_once(|| {
        // Nobody else installs one.
        let _ = PROVIDER.install_default();
    });
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> JwtResult<Box<dyn JwtVerifier>> {
    match algorithm {
        Algorithm::ES256 => Ok(Box::new(Es256Verifier(key.try_get_as_bytes()?.to_vec()))),
        _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
    }
}

struct Es256Signer(EcdsaKeyPair);

impl signature::Signer<Vec<u8>> for Es256Signer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let signed = self.0.sign(&SystemRandom::new(), message);
        let signature = signed.map_err(|_| signature::Error::new())?;
        Ok(signature.as_ref().to_vec())
    }
}

impl JwtSigner for Es256Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

struct Es256Verifier(Vec<u8>);

impl signature::Verifier<Vec<u8>> for Es256Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.0)
            .verify(message, signature)
            .map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Es256Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(token: &str) -> [&str; 3] {
        let parts: Vec<_> = token.split('.').collect();
        parts.try_into().unwrap()
    }

    #[test]
    fn a_token_is_signed_with_the_key_that_is_stored_and_no_other() {
        let made = Key::generate().unwrap();
        let stored = made.to_stored();
        // By this it would be found where it is not to be.
        let private = stored["private"].as_str().unwrap();
        assert!(private.starts_with("MIGHAgEAMBMGByqGSM49"));
        let key = Key::of_stored(&stored).unwrap();
        let claims = json!({"iss": "me", "exp": 1, "aud": ["x"], "n": {"a": [1, 2]}});
        let token = key.sign(&claims).unwrap();
        let (header, told) = peek(&token).unwrap();
        assert_eq!(told, claims);
        let head = URL_SAFE_NO_PAD.decode(parts(&token)[0]).unwrap();
        let head: Value = serde_json::from_slice(&head).unwrap();
        assert_eq!(head, json!({"alg": "ES256", "kid": key.id()}));
        // Times and audiences are judged elsewhere.
        assert!(made.has_signed(&token) && made.is_meant(&header));

        let other = Key::generate().unwrap();
        assert!(!other.has_signed(&token) && !other.is_meant(&header));
        assert!(other.is_meant(&Header::new(Algorithm::ES256)));
        assert!(Key::of_stored(&json!({})).is_err());
        assert!(Key::of_stored(&json!({"private": "?", "public": "?"})).is_err());
        let broken = Key::of_stored(&json!({"private": "AAAA", "public": "AAAA"})).unwrap();
        assert!(broken.sign(&claims).is_err());
        assert!(!broken.has_signed(&token));
    }

    #[test]
    fn what_is_changed_or_not_signed_is_not_ours() {
        let key = Key::generate().unwrap();
        let token = key.sign(&json!({"iss": "me"})).unwrap();
        let [head, _, signature] = parts(&token);
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = encode(json!({"iss": "you"}));
        let none = encode(json!({"alg": "none"}));
        let public = STANDARD.encode(&key.public);
        let symmetric = jsonwebtoken::EncodingKey::from_base64_secret(&public).unwrap();
        assert!(
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &json!({}), &symmetric).is_err(),
            "there is no other algorithm to take the public key for a secret"
        );
        let hs256 = encode(json!({"alg": "HS256"}));
        for token in [
            format!("{head}.{claims}.{signature}"),
            format!("{head}.{claims}."),
            format!("{none}.{claims}."),
            format!("{none}.{claims}.{signature}"),
            format!("{hs256}.{claims}.{signature}"),
            format!("{token}.{signature}"),
            format!("{token}A"),
            token[..token.len() - 1].to_owned(),
            "..".to_owned(),
            String::new(),
        ] {
            assert!(!key.has_signed(&token), "{token}");
        }
        assert!(key.has_signed(&token));
    }
}
