// fhirclient (SMART JS client) against a running server.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { base, pulse, token } from './token.mjs';

const smart = createRequire(import.meta.url)('fhirclient');
const configuration = await (await fetch(`${base}/.well-known/smart-configuration`)).json();
const access = await token(configuration.token_endpoint, 'system/*.cruds');
const request = { headers: { host: 'localhost' }, url: '/' };
const client = smart(request, {}, {}).client({
  serverUrl: base, tokenResponse: { access_token: access },
});

assert.equal(await client.getFhirVersion(), '4.0.1');
assert.equal(await client.getFhirRelease(), 4);

const family = `SmartJs-${randomUUID()}`;
const made = await client.create({ resourceType: 'Patient', name: [{ family }] });
assert.equal(made.meta.versionId, '1');
const updated = await client.update({ ...made, gender: 'other' });
assert.equal(updated.meta.versionId, '2');
const patched = await client.patch(`Patient/${made.id}`, [
  { op: 'add', path: '/birthDate', value: '1990-05-06' },
]);
assert.equal(patched.birthDate, '1990-05-06');

const transaction = await client.request({
  url: '/',
  method: 'POST',
  headers: { 'content-type': 'application/fhir+json' },
  body: JSON.stringify({
    resourceType: 'Bundle',
    type: 'transaction',
    entry: [10, 20, 30].map((value) => ({
      resource: pulse(`Patient/${made.id}`, value),
      request: { method: 'POST', url: 'Observation' },
    })),
  }),
});
assert.equal(transaction.entry.length, 3);

const found = await client.request(`Observation?subject=Patient/${made.id}&_count=1`, {
  pageLimit: 0, flat: true, resolveReferences: ['subject'], graph: true,
});
assert.deepEqual(found.map((each) => each.valueQuantity.value).sort(), [10, 20, 30]);
assert.equal(found[0].subject.name[0].family, family);
const pulses = smart(request, {}, {}).client({ serverUrl: base }).byCodes(found, 'code')('8867-4');
assert.equal(pulses.length, 3);

const history = await client.request(`Patient/${made.id}/_history`);
assert.deepEqual(history.entry.map((each) => each.resource.meta.versionId), ['3', '2', '1']);

for (const each of found) await client.delete(`Observation/${each.id}`);
await client.delete(`Patient/${made.id}`);
await assert.rejects(client.request(`Patient/${made.id}`), /410|Gone|deleted/);
console.log('ok');
