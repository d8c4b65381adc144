use expect_test::expect;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::partner::PartnerList;
use super::super::partner::tests::partner;
use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_496_246_400_123);
const PATH: &str = "/exchange/v1/lookups/urn:uuid:1?wait=5";
const BODY: &[u8] = b"{\"waybill\":\"SF1\"}";

struct World {
    key: NodeKey,
    sender: ParticipantId,
    node: ParticipantId,
    partners: PartnerList,
}

fn id(text: &str) -> ParticipantId {
    ParticipantId::parse(text).unwrap()
}

impl World {
    fn new() -> Self {
        let mut partners = PartnerList::default();
        partners
            .add(partner("did:web:fengchao.example", 1))
            .unwrap();
        partners.add(partner("did:web:jd.example", 2)).unwrap();
        Self {
            key: NodeKey::from_seed(&[1; 32]),
            sender: id("did:web:fengchao.example"),
            node: id("did:web:cainiao.example"),
            partners,
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            issuer: &self.sender,
            audience: &self.node,
            request_id: RequestId::from_bytes([0xa5; 16]),
            method: "POST",
            path_and_query: PATH,
            body: BODY,
            issued_at: NOW,
        }
    }

    fn expected(&self) -> Expected<'_> {
        Expected {
            audience: &self.node,
            method: "POST",
            path_and_query: PATH,
            now: NOW,
            leeway_ms: 2_000,
            started_at: NOW.plus_ms(-60_000),
        }
    }

    fn verify(&self, token: &str, expected: &Expected<'_>) -> Result<Verified, TokenError> {
        self.verify_over(token, expected, BODY)
    }

    fn verify_over(
        &self,
        token: &str,
        expected: &Expected<'_>,
        body: &[u8],
    ) -> Result<Verified, TokenError> {
        verify(token, expected, |key_id| self.partners.key(key_id))?.over(body)
    }

    /// A token whose header and claims were changed before it was signed with `key`.
    fn forged(&self, key: &NodeKey, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let token = sign(&self.key, &self.request());
        let parts: Vec<&str> = token.split('.').collect();
        let value = |part: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let (mut header, mut claims) = (value(parts[0]), value(parts[1]));
        change(&mut header, &mut claims);
        let input = format!("{}.{}", encode(&header), encode(&claims));
        let signature = URL_SAFE_NO_PAD.encode(key.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }
}

#[test]
fn the_form_is_frozen() {
    let world = World::new();
    let token = sign(&world.key, &world.request());
    let parts: Vec<&str> = token.split('.').collect();
    let text = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    expect![[r#"{"alg":"EdDSA","typ":"il-request+jwt","kid":"did:web:fengchao.example#z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX"}"#]].assert_eq(&text(parts[0]));
    expect![[r#"{"iss":"did:web:fengchao.example","aud":"did:web:cainiao.example","iat":1496246400.123,"exp":1496246430.123,"jti":"a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5","htm":"POST","htp":"/exchange/v1/lookups/urn:uuid:1?wait=5","bh":"sz_YV4qbhfvoBgv0JnFEd-YcOXiULNDV8FIGZ1K_o-I"}"#]].assert_eq(&text(parts[1]));
    expect![
        "nCfWVHYeWE6sJkqnMN97ljjKJjDX_6xGyrcfu933kUDy-Idvit46nxR60lOOL3VfJcuNGB-3tQPJ3lOJ9P2oBw"
    ]
    .assert_eq(parts[2]);
}

#[test]
fn a_signed_request_is_its_partners() {
    let world = World::new();
    let verified = world.verify(&sign(&world.key, &world.request()), &world.expected());
    assert_eq!(
        verified,
        Ok(Verified {
            partner: world.sender.clone(),
            request_id: RequestId::from_bytes([0xa5; 16]),
            remember_until: NOW.plus_ms(TOKEN_LIFETIME_MS + 2_000),
        })
    );
}

#[test]
fn a_token_fits_one_request_alone() {
    let world = World::new();
    let token = sign(&world.key, &world.request());
    let other = id("did:web:jd.example");
    let expected = world.expected();
    let check = |expected: Expected<'_>, error: TokenError| {
        assert_eq!(world.verify(&token, &expected), Err(error));
    };
    check(
        Expected {
            audience: &other,
            ..expected
        },
        TokenError::WrongAudience("did:web:cainiao.example".into()),
    );
    check(
        Expected {
            method: "GET",
            ..expected
        },
        TokenError::WrongMethod,
    );
    check(
        Expected {
            path_and_query: "/exchange/v1/lookups/urn:uuid:1",
            ..expected
        },
        TokenError::WrongPath,
    );
    for other in [&b""[..], b"{\"waybill\":\"SF2\"}"] {
        let verified = world.verify_over(&token, &expected, other);
        assert_eq!(verified, Err(TokenError::WrongBody));
    }
}

#[test]
fn the_life_of_a_token_is_half_open() {
    let world = World::new();
    let token = sign(&world.key, &world.request());
    let at = |ms: i64, leeway_ms: i64| {
        let expected = Expected {
            now: NOW.plus_ms(ms),
            leeway_ms,
            started_at: Timestamp::from_millis(0),
            ..world.expected()
        };
        world.verify(&token, &expected).map_err(|e| e.code())
    };
    assert!(at(29_999, 0).is_ok());
    assert_eq!(at(30_000, 0), Err("token-expired"));
    assert!(at(31_999, 2_000).is_ok());
    assert_eq!(at(32_000, 2_000), Err("token-expired"));
    assert!(at(-2_000, 2_000).is_ok());
    assert_eq!(at(-2_001, 2_000), Err("token-issued-in-future"));
    // No setting makes the leeway longer than 5 s or shorter than nothing.
    assert_eq!(at(35_000, 60_000), Err("token-expired"));
    assert_eq!(at(-5_001, 60_000), Err("token-issued-in-future"));
    assert!(at(29_999, -60_000).is_ok());
}

#[test]
fn a_token_of_an_earlier_process_is_refused() {
    let world = World::new();
    let token = sign(&world.key, &world.request());
    let started = |ms: i64| Expected {
        started_at: NOW.plus_ms(ms),
        now: NOW.plus_ms(10),
        ..world.expected()
    };
    assert!(world.verify(&token, &started(0)).is_ok());
    assert_eq!(
        world.verify(&token, &started(1)),
        Err(TokenError::IssuedBeforeStart)
    );
}

#[test]
fn a_long_life_is_refused() {
    let world = World::new();
    for (lifetime_ms, good) in [
        (60_000, true),
        (60_001, false),
        (0, false),
        (-1, false),
        (1, true),
    ] {
        let token = sign_for(&world.key, &world.request(), lifetime_ms);
        let verified = world.verify(&token, &world.expected());
        match good {
            true => assert!(verified.is_ok(), "{lifetime_ms}"),
            false => assert_eq!(verified, Err(TokenError::TooLongLived(lifetime_ms))),
        }
    }
}

#[test]
fn only_the_pinned_key_of_the_issuer_counts() {
    let world = World::new();
    let stranger = NodeKey::from_seed(&[9; 32]);
    let error = world
        .verify(&sign(&stranger, &world.request()), &world.expected())
        .unwrap_err();
    assert!(matches!(&error, TokenError::UnknownKey(k) if k.starts_with("did:web:fengchao")));

    // Signed by a stranger in the name of the pinned key.
    let forged = world.forged(&stranger, |_, _| {});
    let error = world.verify(&forged, &world.expected()).unwrap_err();
    assert!(matches!(error, TokenError::BadSignature(_)), "{error}");

    // One partner, with its own key, in the name of another.
    let jd = NodeKey::from_seed(&[2; 32]);
    let kid = KeyId::new(&id("did:web:jd.example"), &jd.public()).to_string();
    let forged = world.forged(&jd, |header, _| header["kid"] = json!(kid));
    assert_eq!(
        world.verify(&forged, &world.expected()),
        Err(TokenError::WrongIssuer("did:web:fengchao.example".into()))
    );
    let kid = KeyId::new(&world.sender, &jd.public()).to_string();
    let forged = world.forged(&jd, |header, _| header["kid"] = json!(kid));
    let error = world.verify(&forged, &world.expected()).unwrap_err();
    assert!(matches!(error, TokenError::UnknownKey(_)), "{error}");
}

#[test]
fn the_algorithm_is_not_the_tokens_choice() {
    let world = World::new();
    for (member, value) in [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("eddsa")),
        ("typ", json!("JWT")),
        ("crit", json!(["exp"])),
        ("jwk", json!({})),
        ("kid", json!("did:web:fengchao.example")),
        ("kid", json!(7)),
    ] {
        let forged = world.forged(&world.key, |header, _| header[member] = value.clone());
        let error = world.verify(&forged, &world.expected()).unwrap_err();
        assert!(
            matches!(error, TokenError::Malformed(_)),
            "{member} {value}: {error}"
        );
    }
}

#[test]
fn rubbish_is_malformed() {
    let world = World::new();
    let good = sign(&world.key, &world.request());
    let parts: Vec<&str> = good.split('.').collect();
    let long = format!("{good}{}", "A".repeat(TOKEN_BYTES_MAX));
    for bad in [
        "",
        "abc",
        "..",
        parts[0],
        &format!("{}.{}", parts[0], parts[1]),
        &format!("{}.{}.", parts[0], parts[1]),
        &format!("{}.{}.{}=", parts[0], parts[1], parts[2]),
        &format!("{good}.{}", parts[2]),
        &format!(" {good}"),
        &long,
    ] {
        let error = world.verify(bad, &world.expected()).unwrap_err();
        assert!(matches!(error, TokenError::Malformed(_)), "{bad}: {error}");
    }
    for (member, value) in [
        ("iat", json!("1496246400")),
        ("iat", json!(-1)),
        ("exp", json!(1e300)),
        ("jti", json!("a5")),
        ("aud", json!(["did:web:cainiao.example"])),
        ("iss", json!("fengchao")),
        ("nbf", json!(1)),
    ] {
        let forged = world.forged(&world.key, |_, claims| claims[member] = value.clone());
        let error = world.verify(&forged, &world.expected()).unwrap_err();
        assert!(
            matches!(error, TokenError::Malformed(_)),
            "{member} {value}: {error}"
        );
    }
}

#[test]
fn messages_say_what_to_do() {
    let errors = [
        TokenError::Missing,
        TokenError::Malformed("its `alg` is not `EdDSA`"),
        TokenError::UnknownKey("did:web:a.example#z6Mk".into()),
        TokenError::BadSignature("did:web:a.example#z6Mk".into()),
        TokenError::WrongIssuer("did:web:a.example".into()),
        TokenError::WrongAudience("did:web:b.example".into()),
        TokenError::Expired(rfc3339(NOW)),
        TokenError::IssuedInFuture(rfc3339(NOW)),
        TokenError::IssuedBeforeStart,
        TokenError::TooLongLived(60_001),
        TokenError::WrongMethod,
        TokenError::WrongPath,
        TokenError::WrongBody,
        TokenError::Replayed,
        TokenError::TooManyRequests,
    ];
    let text: String = errors
        .iter()
        .map(|error| format!("{}: {error}\n", error.code()))
        .collect();
    expect![[r#"
        token-missing: the request has no token; send `Authorization: Bearer` with one
        token-malformed: the token is malformed: its `alg` is not `EdDSA`; see the reference of tokens between nodes
        token-unknown-key: the key `did:web:a.example#z6Mk` is not known here; have this node's operator add the participant and its present key (`interlock partner add`)
        token-bad-signature: the signature does not verify with the key `did:web:a.example#z6Mk`; sign with that key
        token-wrong-issuer: the token is issued by `did:web:a.example`, which does not control the key that signed it; sign with the issuer's own key
        token-wrong-audience: the token is for `did:web:b.example`, not for this node; make one for the node that you call
        token-expired: the token expired at 2017-05-31T16:00:00.123+00:00; make a new one for each request and check both clocks
        token-issued-in-future: the token was issued at 2017-05-31T16:00:00.123+00:00, in the future; check both clocks
        token-issued-before-start: the token was issued before this node started; make a new one and repeat the request
        token-too-long-lived: the token is valid for 60001 ms; make one of 1 to 60000 ms
        token-wrong-method: the token is for another method than that of the request; make one for each request
        token-wrong-path: the token is for another path or query than that of the request; make one for each request
        token-wrong-body: the token is for another body than that of the request; make one for each request
        token-replayed: the request id was used before; make a new one for a new request
        too-many-requests: too many requests within the life of a token; wait and repeat the request
    "#]].assert_eq(&text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_changed_byte_is_refused(at in 0usize..2_000, replacement in "[A-Za-z0-9._-]") {
        let world = World::new();
        let token = sign(&world.key, &world.request());
        let at = at % token.len();
        let mut changed = token.clone();
        changed.replace_range(at..=at, &replacement);
        prop_assume!(changed != token);
        prop_assert!(world.verify(&changed, &world.expected()).is_err());
    }

    #[test]
    fn any_request_verifies_as_itself(
        request_id: [u8; 16],
        path in "/[ -~]{0,80}",
        body in proptest::collection::vec(any::<u8>(), 0..200),
        now_ms in 0i64..4_000_000_000_000,
    ) {
        let world = World::new();
        let now = Timestamp::from_millis(now_ms);
        let request = Request {
            request_id: RequestId::from_bytes(request_id),
            path_and_query: &path,
            body: &body,
            issued_at: now,
            ..world.request()
        };
        let expected = Expected {
            path_and_query: &path,
            now,
            started_at: now,
            leeway_ms: 0,
            ..world.expected()
        };
        let token = sign(&world.key, &request);
        let verified = world.verify_over(&token, &expected, &body).unwrap();
        prop_assert_eq!(verified.request_id, request.request_id);
        prop_assert_eq!(verified.remember_until, now.plus_ms(TOKEN_LIFETIME_MS));
    }
}
