import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readlink, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { StackEnvironment } from './config.ts'
import { prepareFolders, userFolders } from './folders.ts'

const nobody: StackEnvironment = {
  amqpUrl: undefined,
  amqpManagementUrl: undefined,
  redisUrl: undefined,
  cacheDir: undefined,
  stateDir: undefined,
  xdgCacheHome: undefined,
  xdgStateHome: undefined,
  home: '/home/ada',
  path: '/usr/bin',
  uid: 1000,
  gid: 1000,
}

test('root keeps things where another uid can reach them, others in their home', () => {
  assert.deepEqual(userFolders({ ...nobody, uid: 0 }), {
    cache: '/var/lib/tributary/cache',
    state: '/var/lib/tributary/state',
    shared: undefined,
  })
  assert.deepEqual(userFolders(nobody), {
    cache: '/home/ada/.cache/tributary',
    state: '/home/ada/.local/state/tributary',
    shared: undefined,
  })
  assert.equal(userFolders({ ...nobody, xdgCacheHome: '/fast' }).cache, '/fast/tributary')
})

test('a home with a space or an accent is avoided', () => {
  for (const home of ['/home/Ada Lovelace', '/home/añã', '/home/a$b', '/home/a;b']) {
    assert.deepEqual(userFolders({ ...nobody, home }), {
      cache: '/var/tmp/tributary-1000/cache',
      state: '/var/tmp/tributary-1000/state',
      shared: '/var/tmp/tributary-1000',
    })
  }
})

suite('the folders of a clone', () => {
  let root = ''
  before(async () => {
    root = await mkdtemp('/tmp/tributary-folders-')
    await mkdir(join(root, 'my clone'))
  })
  after(() => rm(root, { recursive: true }))

  test('are another for each port base, stay the same, and are pointed to', async () => {
    const environment = { ...nobody, cacheDir: join(root, 'cache'), stateDir: join(root, 'state') }
    const clone = join(root, 'my clone')
    const first = await prepareFolders(clone, undefined, environment)
    const second = await prepareFolders(clone, 20_000, environment)
    assert.notEqual(first.state, second.state)
    assert.deepEqual(await prepareFolders(clone, undefined, environment), first)
    assert.equal(await readlink(join(clone, '.tributary', 'default')), first.state)
    assert.equal(await readlink(join(clone, '.tributary', '20000')), second.state)
    assert.equal((await stat(first.state)).mode & 0o777, 0o700)
  })

  test('with a space in a path that was asked for are refused', async () => {
    await assert.rejects(
      prepareFolders(join(root, 'my clone'), undefined, { ...nobody, stateDir: join(root, 'a b'), uid: 0 }),
      /RabbitMQ/,
    )
  })
})
