// fhir-kit-client against a running server.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Client } from 'fhir-kit-client';
import { base, pulse, token } from './token.mjs';

const kit = new Client({ baseUrl: base });
const smart = await kit.smartAuthMetadata();
const endpoint = String(smart.tokenUrl);
kit.bearerToken = await token(endpoint, 'system/*.cruds');

const said = await kit.capabilityStatement();
assert.equal(said.fhirVersion, '4.0.1');

const family = `Kit-${randomUUID()}`;
const made = await kit.create({
  resourceType: 'Patient',
  body: { resourceType: 'Patient', name: [{ family }], gender: 'female' },
});
const { id } = made;
assert.equal(made.meta.versionId, '1');

const updated = await kit.update({
  resourceType: 'Patient', id, body: { ...made, birthDate: '1980-01-02' },
});
assert.equal(updated.meta.versionId, '2');

const patched = await kit.patch({
  resourceType: 'Patient', id,
  jsonPatch: [{ op: 'replace', path: '/gender', value: 'male' }],
});
assert.equal(patched.gender, 'male');
assert.equal((await kit.read({ resourceType: 'Patient', id })).meta.versionId, '3');
const second = await kit.vread({ resourceType: 'Patient', id, version: '2' });
assert.equal(second.gender, 'female');
const history = await kit.history({ resourceType: 'Patient', id });
assert.deepEqual(history.entry.map((each) => each.resource.meta.versionId), ['3', '2', '1']);
assert.ok((await kit.typeHistory({ resourceType: 'Patient' })).entry.length >= 3);
assert.ok((await kit.systemHistory()).entry.length >= 3);

const answer = await kit.transaction({
  body: {
    resourceType: 'Bundle',
    type: 'transaction',
    entry: [1, 2, 3, 4, 5].map((value) => ({
      resource: pulse(`Patient/${id}`, value),
      request: { method: 'POST', url: 'Observation' },
    })),
  },
});
assert.deepEqual(answer.entry.map((each) => each.response.status.slice(0, 3)), Array(5).fill('201'));

let page = await kit.search({
  resourceType: 'Observation', searchParams: { subject: `Patient/${id}`, _count: 2 },
});
const values = [];
while (page) {
  values.push(...page.entry.map((each) => each.resource.valueQuantity.value));
  page = await kit.nextPage({ bundle: page });
}
assert.deepEqual(values.sort(), [1, 2, 3, 4, 5]);

const posted = await kit.search({
  resourceType: 'Patient', searchParams: { family }, options: { postSearch: true },
});
assert.deepEqual(posted.entry.map((each) => each.resource.id), [id]);
const everywhere = await kit.systemSearch({ searchParams: { _type: 'Patient', _id: id } });
assert.deepEqual(everywhere.entry.map((each) => each.resource.id), [id]);
const compartment = await kit.compartmentSearch({
  resourceType: 'Observation', compartment: { resourceType: 'Patient', id },
});
assert.equal(compartment.entry.length, 5);
const all = await kit.operation({ name: 'everything', resourceType: 'Patient', id, method: 'GET' });
assert.equal(all.entry.length, 6);

const batch = await kit.batch({
  body: {
    resourceType: 'Bundle',
    type: 'batch',
    entry: [{ request: { method: 'GET', url: `Patient/${id}` } },
      { request: { method: 'GET', url: 'Patient/absent' } }],
  },
});
assert.deepEqual(batch.entry.map((each) => each.response.status.slice(0, 3)), ['200', '404']);

for (const entry of compartment.entry) {
  await kit.delete({ resourceType: 'Observation', id: entry.resource.id });
}
await kit.delete({ resourceType: 'Patient', id });
await assert.rejects(kit.read({ resourceType: 'Patient', id }), (error) => {
  assert.equal(error.response.status, 410);
  return true;
});
await assert.rejects(
  kit.create({ resourceType: 'Patient', body: { resourceType: 'Patient', gender: 'blue' } }),
  (error) => error.response.status === 422 || error.response.status === 400,
);
console.log('ok');
