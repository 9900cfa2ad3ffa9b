import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { TestAuthority } from './testing/certificates.ts'
import { device } from './testing/federation.ts'
import { TestNode } from './testing/test-node.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const machine = fileURLToPath(new URL('./testing/fresh-machine.sh', import.meta.url))

/** Why no machine can be made here, if so. */
const missing = (): string | false => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'mounts need root on Linux'
  try {
    execFileSync('unshare', ['--mount', 'sh', '-c', 'mount -t tmpfs none /mnt && which systemctl useradd runuser'], {
      stdio: 'ignore',
    })
    return false
  } catch {
    return 'there are no mounts, no systemd or no users here'
  }
}

/** What is done there: installed, again, by somebody else, and removed. The package of the agent stands in /usr/local as npm would put it. */
const story = (url: string, fingerprint: string, node: string): string => `
set -eu
install="sh /opt/tributary/edge-agent/packaging/install.sh"
$install --url ${url} --code CODE && exit 10
printf '#!/bin/sh\\nexec node /opt/tributary/edge-agent/src/commands/agent/agent.main.ts "$@"\\n' > /usr/local/bin/tributary-agent
chmod 755 /usr/local/bin/tributary-agent
setpriv --reuid=nobody --clear-groups $install && exit 11
echo '== first'
$install --url ${url} --code K7Q2M --authority-sha256 ${fingerprint} --node ${node}
id=$(cat /var/lib/tributary-agent/agent.json)
echo '== again'
$install --url ${url} --code K7Q2M --authority-sha256 ${fingerprint}
[ "$id" = "$(cat /var/lib/tributary-agent/agent.json)" ] || exit 12
echo '== is'
stat -c '%A %U %n' /var/lib/tributary-agent /var/lib/tributary-agent/data/datasets.json /var/lib/tributary-agent/identity/*
systemctl is-enabled tributary-agent
systemd-analyze verify /etc/systemd/system/tributary-agent.service
echo '== runs'
# As the unit says, without systemd: its user and its environment.
runuser -u tributary-agent -- env STATE_DIR=/var/lib/tributary-agent LOG_LEVEL=info /usr/local/bin/tributary-agent run &
agent=$!
read -r _
kill -TERM "$(pgrep -u tributary-agent -f 'agent.main.ts run')"
wait "$agent"
echo '== ended'
systemctl disable tributary-agent
echo "$(systemctl is-enabled tributary-agent)"
`

test('the installer makes user, folders, identity and service on a fresh machine, may be run again, and the agent runs there as its user', {
  skip: missing(),
  timeout: 120_000,
}, async () => {
  await using opened = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'tributary-machine-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  const authority = await TestAuthority.create()
  await using node = await TestNode.start(authority)
  let enrolled = 0
  const enrol = async (request: IncomingMessage): Promise<object> => {
    enrolled += 1
    const { csr } = JSON.parse(await text(request))
    return {
      id: device,
      certificate: await authority.issueFor(csr, device, 'device'),
      authority: authority.certificate,
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
      label: 'scales',
      region: 'alps',
      kind: 'trainer',
      endpoints: [node.endpoint],
      mqttUrl: 'mqtts://localhost:9',
    }
  }
  const central = createServer((request, response) => {
    const answer = request.url === '/v1/devices/enrol' ? enrol(request) : Promise.resolve({})
    answer.then(
      value => response.end(JSON.stringify(value)),
      error => response.destroy(error),
    )
  }).listen(0, '127.0.0.1')
  await once(central, 'listening')
  opened.defer(() => void central.close())
  const url = `http://127.0.0.1:${(central.address() as AddressInfo).port}`
  const script = story(url, authority.sha256, node.endpoint)
  const child = spawn('unshare', ['--mount', 'sh', machine, folder, 'sh', '-c', script], {
    env: { NODE: process.execPath, REPOSITORY: repository, PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  opened.defer(() => void child.kill('SIGKILL'))
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', part => (said += String(part)))
  const ended = once(child, 'close')
  await Promise.race([ended, node.until('a check-in', () => node.checkIns.length > 0, 100)])
  child.stdin.end('end\n')
  assert.deepEqual(await ended, [0, null], said)
  assert.equal(enrolled, 1)
  assert.match(said, /give the package of the agent first/)
  assert.match(said, /run it as root/)
  assert.match(said, /scales is enrolled as trainer/)
  assert.match(said, /Declare data in \/var\/lib\/tributary-agent/)
  const part = (name: string): string => said.split(`== ${name}\n`)[1]?.split('== ')[0] ?? ''
  const folders = ['drwx------ tributary-agent /var/lib/tributary-agent', '-rw------- tributary-agent .*/datasets.json']
  for (const line of [...folders, '-rw------- tributary-agent .*/key.pem', 'enabled']) {
    assert.match(part('is'), new RegExp(`^${line}$`, 'm'))
  }
  assert.match(part('runs'), /agent started[\s\S]*agent stopped/)
  assert.match(part('ended'), /^disabled$/m)
})
