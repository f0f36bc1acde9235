// A token by private-key JWT (SMART Backend Services), and what the test passes along.
import { createPrivateKey, randomUUID, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';

export const [, , base, keyFile] = process.argv;

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export async function token(endpoint, scope) {
  const jwk = JSON.parse(readFileSync(keyFile, 'utf8'));
  const now = Math.floor(Date.now() / 1000);
  const head = encoded({ alg: 'ES384', typ: 'JWT', kid: jwk.kid });
  const claims = encoded({
    iss: jwk.kid, sub: jwk.kid, aud: endpoint, exp: now + 240, jti: randomUUID(),
  });
  const key = createPrivateKey({ key: jwk, format: 'jwk' });
  const signature = sign('sha384', Buffer.from(`${head}.${claims}`), {
    key, dsaEncoding: 'ieee-p1363',
  });
  const answer = await fetch(endpoint, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      scope,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: `${head}.${claims}.${signature.toString('base64url')}`,
    }),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()).access_token;
}

export const pulse = (patient, value) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
  subject: { reference: patient },
  valueQuantity: { value, unit: '/min' },
});
