use aws_lc_rs::signature::Ed25519KeyPair;

use super::*;

// RSA keys of 1024 bits, which the library refuses to make. They protect nothing.
const WEAK_PRIVATE: [&[u8]; 2] = [
    include_bytes!("weak-private-pkcs8.pem"),
    include_bytes!("weak-private-pkcs1.pem"),
];
const WEAK_PUBLIC: [&[u8]; 2] = [
    include_bytes!("weak-public-spki.pem"),
    include_bytes!("weak-public-pkcs1.pem"),
];

#[test]
fn a_key_is_the_same_in_every_notation() {
    let pkcs8 = generate_pem().unwrap();
    let key = PrivateKey::from_pem(pkcs8.as_bytes()).unwrap();
    let pkcs1 = encode_pem("RSA PRIVATE KEY", key.signing().as_bytes());
    let public = key.public();
    assert_eq!(
        PrivateKey::from_pem(pkcs1.as_bytes()).unwrap().public(),
        public
    );

    let spki = public.to_pem();
    assert!(spki.starts_with("-----BEGIN PUBLIC KEY-----\n"));
    assert_eq!(PublicKey::from_pem(spki.as_bytes()).unwrap(), public);
    let pair = KeyPair::from_der(key.signing().as_bytes()).unwrap();
    let pkcs1 = encode_pem("RSA PUBLIC KEY", pair.public_key().as_ref());
    assert_eq!(PublicKey::from_pem(pkcs1.as_bytes()).unwrap(), public);

    assert_eq!(
        PrivateKey::from_pem(spki.replace('\n', "\r\n").as_bytes())
            .unwrap_err()
            .to_string(),
        "unsupported PEM block \"PUBLIC KEY\""
    );
    assert_eq!(
        PublicKey::from_pem(pkcs8.as_bytes())
            .unwrap_err()
            .to_string(),
        "unsupported PEM block \"PRIVATE KEY\""
    );
}

#[test]
fn a_key_is_named_by_its_thumbprint() {
    let pkcs8 = generate_pem().unwrap();
    let key = PrivateKey::from_pem(pkcs8.as_bytes()).unwrap();
    let set = serde_json::to_value(key.public_set()).unwrap();
    let [jwk] = set["keys"].as_array().unwrap().as_slice() else {
        panic!("not one key: {set}");
    };
    let text = |name: &str| jwk[name].as_str().unwrap();
    assert_eq!(
        (text("kty"), text("use"), text("alg"), text("e")),
        ("RSA", "sig", "RS256", "AQAB")
    );
    // As RFC 7638 has it: the required members, in their order, without white space.
    let members = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text("e"), text("n"));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, members.as_bytes());
    use base64::Engine as _;
    let thumbprint = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest);
    assert_eq!((key.id(), text("kid")), (&*thumbprint, &*thumbprint));
    let pkcs1 = encode_pem("RSA PRIVATE KEY", key.signing().as_bytes());
    let same = PrivateKey::from_pem(pkcs1.as_bytes()).unwrap();
    assert_eq!(same.id(), key.id(), "in every notation");
    // No part of the private half.
    assert_eq!(jwk.as_object().unwrap().len(), 6, "{jwk}");
}

#[test]
fn keys_below_2048_bits_are_refused() {
    for pem in WEAK_PRIVATE {
        let error = PrivateKey::from_pem(pem).unwrap_err();
        assert!(
            matches!(&error, KeyError::Rejected(reason) if reason == "TooSmall"),
            "{error:?}"
        );
    }
    for pem in WEAK_PUBLIC {
        let error = PublicKey::from_pem(pem).unwrap_err();
        assert!(
            matches!(&error, KeyError::Rejected(reason) if reason == "TooSmall"),
            "{error:?}"
        );
    }
}

#[test]
fn what_is_no_rsa_key_is_refused() {
    for text in [
        "",
        "secret",
        "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----",
    ] {
        assert!(
            matches!(PrivateKey::from_pem(text.as_bytes()), Err(KeyError::NotPem)),
            "{text}"
        );
        assert!(
            matches!(PublicKey::from_pem(text.as_bytes()), Err(KeyError::NotPem)),
            "{text}"
        );
    }
    let garbage = encode_pem("PRIVATE KEY", b"garbage");
    assert!(matches!(
        PrivateKey::from_pem(garbage.as_bytes()),
        Err(KeyError::Rejected(_))
    ));
    let garbage = encode_pem("PUBLIC KEY", b"garbage");
    assert!(matches!(
        PublicKey::from_pem(garbage.as_bytes()),
        Err(KeyError::Rejected(_))
    ));

    let pair = Ed25519KeyPair::generate().unwrap();
    let pkcs8 = encode_pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref());
    assert!(matches!(
        PrivateKey::from_pem(pkcs8.as_bytes()),
        Err(KeyError::Rejected(_))
    ));
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let spki = encode_pem("PUBLIC KEY", spki.as_ref());
    assert!(matches!(
        PublicKey::from_pem(spki.as_bytes()),
        Err(KeyError::Rejected(_))
    ));
}

#[test]
fn a_private_key_does_not_show_itself() {
    let key = PrivateKey::from_pem(generate_pem().unwrap().as_bytes()).unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey { .. }");
}
