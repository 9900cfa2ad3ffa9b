import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AgentFile, AgentFileError, writeAgentFile } from './agent-file.ts'
import { loadSettings } from './load-settings.ts'
import { stateFolderOf } from './state-folder.ts'

test('the state folder is what is set, else that of the unit, of root, of the user', () => {
  const cases: [Record<string, string>, number, string][] = [
    [{ STATE_DIR: '/a', STATE_DIRECTORY: '/b', HOME: '/home/x' }, 0, '/a'],
    [{ STATE_DIRECTORY: '/b:/c', HOME: '/home/x' }, 0, '/b'],
    [{ HOME: '/root' }, 0, '/var/lib/tributary-agent'],
    [{ HOME: '/home/x', XDG_STATE_HOME: '/s' }, 1000, '/s/tributary-agent'],
    [{ HOME: '/home/x' }, 1000, '/home/x/.local/state/tributary-agent'],
    [{ STATE_DIR: '', HOME: '/home/x' }, 1000, '/home/x/.local/state/tributary-agent'],
  ]
  for (const [environment, user, expected] of cases) assert.equal(stateFolderOf(environment, user), expected)
})

test('the environment goes before agent.json, and a file that is damaged is no settings at all', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'tributary-settings-'))
  try {
    const environment = { STATE_DIR: stateDir, LOG_LEVEL: 'debug' }
    assert.deepEqual(await loadSettings(environment), environment)
    const file: AgentFile = {
      format: 'tributary.agent/1',
      device: '0190b5a0-0000-7000-8000-0000000000d1',
      label: 'scales',
      region: 'alps',
      enrolledAt: new Date().toISOString(),
      authoritySha256: '0'.repeat(64),
      settings: { LOG_LEVEL: 'error', DATA_DIR: '/data' },
    }
    await writeAgentFile(stateDir, file)
    assert.deepEqual(await loadSettings(environment), { ...environment, DATA_DIR: '/data' })
    for (const text of ['{', '{}', JSON.stringify({ ...file, settings: { 'a b': '1' } }), ' '.repeat(70_000)]) {
      await writeFile(join(stateDir, 'agent.json'), text)
      await assert.rejects(loadSettings(environment), AgentFileError)
    }
  } finally {
    await rm(stateDir, { recursive: true, force: true })
  }
})
