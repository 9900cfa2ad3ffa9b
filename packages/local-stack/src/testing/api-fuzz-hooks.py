"""What schemathesis cannot know from the OpenAPI document: ids that exist, and how nodes and devices sign.

API_FUZZ names a JSON file: { "ids": { parameter: [id, …] }, "holders": { parameter: { "id", "key", "certificate" } } }.
"""

import base64
import hashlib
import json
import os
import time
import uuid

import requests
import schemathesis
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives import hashes, serialization

with open(os.environ["API_FUZZ"], encoding="utf-8") as file:
    GIVEN = json.load(file)

HOLDERS = {
    name: {**holder, "key": serialization.load_pem_private_key(holder["key"].encode(), None)}
    for name, holder in GIVEN["holders"].items()
}


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signature(requests.auth.AuthBase):
    """A JWT over method, path and body, as packages/contracts/src/signed-request.ts says."""

    def __init__(self, holder: dict) -> None:
        self.holder = holder

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        if isinstance(body, str):
            body = body.encode()
        now = int(time.time())
        path = request.path_url.split("?", 1)[0]
        claims = {
            "sub": self.holder["id"],
            "iat": now,
            "exp": now + 60,
            "jti": str(uuid.uuid4()),
            "htm": request.method,
            "htu": path,
            "bh": encode(hashlib.sha256(body).digest()),
        }
        head = {"alg": "ES256", "typ": self.holder["type"], "x5c": [self.holder["certificate"]]}
        text = ".".join(encode(json.dumps(part).encode()) for part in (head, claims))
        r, s = utils.decode_dss_signature(self.holder["key"].sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        request.headers["Authorization"] = f"Bearer {text}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
        return request


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Two of three requests go to something that exists; which of them is drawn from the case itself."""
    if not isinstance(path_parameters, dict):
        return path_parameters
    drawn = hashlib.sha256(repr(sorted(path_parameters.items())).encode()).digest()[0]
    if drawn % 3 == 0:
        return path_parameters
    known = GIVEN["ids"]
    return {
        name: known[name][drawn % len(known[name])] if known.get(name) else value
        for name, value in path_parameters.items()
    }


@schemathesis.hook
def before_call(context, case, kwargs):
    security = case.operation.definition.raw.get("security") or []
    if not any("certificate" in entry for entry in security):
        return
    holder = next((HOLDERS[name] for name in HOLDERS if f"{{{name}}}" in case.path), None)
    if holder is not None:
        case.headers.pop("Authorization", None)
        kwargs["auth"] = Signature(holder)
