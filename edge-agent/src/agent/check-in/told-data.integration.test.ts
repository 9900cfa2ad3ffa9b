import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { datasets } from '../../commands/agent/datasets/datasets-command.ts'
import { readLedger } from '../../status/ledger.ts'
import { TestAuthority } from '../../testing/certificates.ts'
import { identityOf, startAgent, temporaryFolder } from '../../testing/federation.ts'
import { TestNode } from '../../testing/test-node.ts'

test('descriptions go to a node that asks, as the owner was shown them, and the policy holds at once', async () => {
  await using folder = await temporaryFolder()
  const dataDir = join(folder.path, 'data')
  const setPolicy = (share: object) => writeFile(join(dataDir, 'policy.json'), JSON.stringify({ share }))
  await mkdir(dataDir)
  await setPolicy({ labelHistograms: true })
  const authority = await TestAuthority.create()
  await using node = await TestNode.start(authority)
  node.pauseMillis = 10
  const data = { tell: ['schema', 'label-histogram'] }
  await using agent = await startAgent(await identityOf(authority), [node.endpoint], { folder: folder.path, data })
  const digest = () => node.checkIns.at(-1)?.descriptionsDigest ?? ''
  await node.until(
    'the data set is converted',
    () => new Set(node.checkIns.map(c => c.descriptionsDigest)).size > 1,
    90,
  )
  const full = digest()
  assert.ok(
    node.checkIns.every(({ descriptions }) => descriptions === undefined),
    'nobody asked',
  )
  node.describeDatasets = true
  await node.until('descriptions', () => node.checkIns.at(-1)?.descriptions !== undefined, 30)
  const sent = node.checkIns.at(-1)?.descriptions
  assert.equal(sent?.digest, full)
  const [stripes] = sent?.datasets ?? []
  assert.deepEqual(
    [sent?.datasets.length, stripes?.name, stripes?.labelCounts, stripes?.schema?.shape, stripes?.schema?.classes],
    [1, 'stripes', Array.from({ length: 10 }, () => 2n), [784n], 10],
  )

  // The command says the same by the same digest.
  let out = ''
  const output = { out: (text: string) => (out += text), error: assert.fail } as never
  const environment = {
    AGENT_CERT_FILE: 'c',
    AGENT_KEY_FILE: 'k',
    AUTHORITY_CERT_FILE: 'a',
    NODE_ENDPOINTS: 'localhost:1',
    MQTT_URL: 'mqtts://localhost:9',
    DATA_DIR: dataDir,
    STATE_DIR: join(folder.path, 'other'),
  }
  await datasets(['--json'], { folder: folder.path, environment, output } as never)
  assert.equal(JSON.parse(out).told.digest, full)

  await setPolicy({ labelHistograms: false })
  await node.until('another digest', () => digest() !== full, 30)
  await node.until('other descriptions', () => node.checkIns.at(-1)?.descriptions?.digest === digest(), 30)
  assert.deepEqual(node.checkIns.at(-1)?.descriptions?.datasets[0]?.labelCounts, [])
  await node.until('one more check-in', () => node.checkIns.at(-1)?.descriptions?.digest === digest(), 30)
  const ledger = (await Array.fromAsync(readLedger(agent.stateDir))).filter(({ kind }) => kind === 'descriptions')
  assert.deepEqual(ledger.map(({ sha256 }) => sha256).slice(0, 2), [full, digest()])
  assert.match(
    ledger[0]?.detail ?? '',
    /^stripes: idx, \[784\] an example.*of 10 classes; examples of each class: 2, 2, .*2$/,
  )
})
