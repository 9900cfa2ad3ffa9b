import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { TestAuthority } from '../../../testing/certificates.ts'
import { identityOf, temporaryFolder } from '../../../testing/federation.ts'
import { writeStripes } from '../../../testing/idx-files.ts'
import { TestNode } from '../../../testing/test-node.ts'
import { runAgentCommand } from '../run-agent-command.ts'
import type { Finding } from './finding.ts'

const day = 86_400_000

suite('doctor', { timeout: 120_000 }, () => {
  const resources = new AsyncDisposableStack()
  let folder: string
  let node: TestNode
  let environment: Record<string, string>
  let aheadMillis = 0

  before(async () => {
    folder = resources.use(await temporaryFolder()).path
    const authority = await TestAuthority.create()
    const identity = await identityOf(authority)
    node = resources.use(await TestNode.start(authority))
    const central = createServer((_, response) => {
      response.setHeader('date', new Date(Date.now() + aheadMillis).toUTCString())
      response.end('{}')
    }).listen(0, '127.0.0.1')
    await once(central, 'listening')
    resources.defer(() => void central.close())
    await mkdir(join(folder, 'data'))
    await writeStripes(join(folder, 'data'), 12)
    const file = async (name: string, content: Buffer): Promise<string> => {
      await writeFile(join(folder, name), content, { mode: 0o600 })
      return join(folder, name)
    }
    environment = {
      AGENT_CERT_FILE: await file('cert.pem', identity.certificate),
      AGENT_KEY_FILE: await file('key.pem', identity.key),
      AUTHORITY_CERT_FILE: await file('ca.pem', identity.authority),
      NODE_ENDPOINTS: node.endpoint,
      CENTRAL_URL: `http://127.0.0.1:${(central.address() as AddressInfo).port}`,
      MQTT_URL: 'mqtts://localhost:9',
      DATA_DIR: join(folder, 'data'),
      STATE_DIR: join(folder, 'state'),
    }
  })
  after(() => resources.disposeAsync())

  const examine = async (more: Record<string, string> = {}) => {
    let text = ''
    const code = await runAgentCommand(['doctor', '--json'], {
      folder,
      environment: { ...environment, ...more },
      output: {
        out: part => {
          text += part
        },
        err: () => {},
        columns: undefined,
      },
      signal: new AbortController().signal,
    })
    const { well, findings } = JSON.parse(text) as { well: boolean; findings: Finding[] }
    const of = (check: string, subject: RegExp) =>
      findings.find(finding => finding.check === check && subject.test(finding.subject))
    return { code, well, findings, of }
  }

  test('finds what works, and who must mend what does not', async () => {
    const { code, well, of } = await examine()
    assert.deepEqual([code, well], [1, false])
    const states: [string, RegExp, string][] = [
      ['identity', /cert\.pem/, 'ok'],
      ['storage', /state/, 'ok'],
      ['central', /127\.0\.0\.1/, 'ok'],
      ['clock', /central/, 'ok'],
      ['node', /TLS/, 'ok'],
      ['node', /gRPC/, 'ok'],
      ['clock', /localhost/, 'ok'],
      ['mqtt', /:9$/, 'failed'],
      ['policy', /policy\.json/, 'ok'],
      ['data', /^stripes$/, 'ok'],
      ['framework', /onnx/, 'ok'],
      ['framework', /trainers\.json/, 'skipped'],
    ]
    for (const [check, subject, state] of states) {
      const found = of(check, subject)
      // A disk that is nearly full is none of this test's business.
      if (check === 'storage' && found?.state === 'warning') continue
      assert.equal(found?.state, state, JSON.stringify([check, found]))
    }
    const broker = of('mqtt', /:9$/)
    assert.equal(broker && 'mender' in broker && broker.mender, 'operator')
    assert.match(broker?.message ?? '', /Nothing listens at localhost:9/)
    assert.match(of('data', /^stripes$/)?.message ?? '', /12 examples/)
  })

  test('a clock three days behind, a stranger in place of the node, an ill policy and a missing file are each told apart', async () => {
    await using stranger = await TestNode.start(await TestAuthority.create())
    aheadMillis = 3 * day
    await writeFile(join(folder, 'data', 'policy.json'), '{')
    await writeFile(
      join(folder, 'data', 'datasets.json'),
      '{"datasets": [{"name": "gone", "heldOut": false, "format": "idx", "images": "a.idx", "labels": "b.idx", "scale": 255}]}',
    )
    const trainer = { name: 'mine', framework: 'pytorch', python: '/no/such/python', trainer: 'a:b' }
    await writeFile(join(folder, 'data', 'trainers.json'), JSON.stringify({ trainers: [trainer] }))
    const { code, of } = await examine({ NODE_ENDPOINTS: `${stranger.endpoint},no-such-host.invalid:7000` })
    assert.equal(code, 1)
    const wrong: [string, RegExp, string, RegExp][] = [
      ['clock', /central/, 'owner', /3 days 0 h behind that of central: here \d{4}-.*, there \d{4}-/],
      ['node', /^localhost.*TLS/, 'network', /is not signed by this federation's authority/],
      ['node', /no-such-host/, 'network', /does not resolve/],
      ['policy', /policy\.json/, 'owner', /is not JSON/],
      ['data', /gone/, 'owner', /a\.idx/],
      ['framework', /mine/, 'owner', /no\/such\/python cannot be started/],
    ]
    for (const [check, subject, mender, message] of wrong) {
      const found = of(check, subject)
      assert.equal(found?.state, 'failed', JSON.stringify([check, found]))
      assert.equal(found && 'mender' in found && found.mender, mender)
      assert.match(found?.message ?? '', message)
    }
  })

  test('without settings it says what is missing and asks the owner', async () => {
    const { code, findings } = await examine({ MQTT_URL: 'mqtt://localhost', AGENT_KEY_FILE: '' })
    assert.equal(code, 1)
    assert.equal(findings.length, 1)
    assert.match(findings[0]?.message ?? '', /MQTT_URL[\s\S]*Enrol/)
  })
})
