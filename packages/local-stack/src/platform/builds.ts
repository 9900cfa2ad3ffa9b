import { createHash } from 'node:crypto'
import { access, glob, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../processes/run-command.ts'
import { lockCache } from '../settings/cache-lock.ts'

/** Deployables that run as bundles, on one machine as in the cloud. */
const deployables = ['functions', 'regional-node', 'edge-agent'] as const
const folders = `{${['packages/*', ...deployables].join(',')}}`
const sources = [
  `${folders}/{build.ts,package.json}`,
  `${folders}/src/**/*.{ts,json,wasm}`,
  // The build lays them beside the bundle that applies them.
  'functions/migrations/*.sql',
]

/** sha256 over all that a bundle is made of, and the lockfile: the same sources, the same bundles. */
const sourcesHash = async (root: string): Promise<string> => {
  const files: string[] = ['package-lock.json']
  for await (const file of glob(sources, { cwd: root })) if (!file.endsWith('.test.ts')) files.push(file)
  const hash = createHash('sha256')
  for (const file of files.sort())
    hash
      .update(file)
      .update('\0')
      .update(await readFile(join(root, file)))
      .update('\0')
  return hash.digest('hex')
}

/**
 * Bundles functions, regional node and agent where their sources changed since the last time.
 * @returns whether anything was built
 */
export const ensureBuilds = async (root: string, signal: AbortSignal): Promise<boolean> => {
  const stampFile = join(root, 'functions', 'dist', 'sources.sha256')
  await mkdir(join(root, 'functions', 'dist'), { recursive: true })
  await using _lock = await lockCache(join(root, 'functions', 'dist', 'build.lock'), 120, signal)
  const wanted = await sourcesHash(root)
  const isBuilt =
    (await readFile(stampFile, 'utf8').catch(() => '')) === wanted &&
    (await Promise.all(
      deployables.map(name =>
        access(join(root, name, 'dist')).then(
          () => true,
          () => false,
        ),
      ),
    ).then(found => found.every(Boolean)))
  if (isBuilt) return false
  // What is there fits no sources any more until all is built, also not those of the build before.
  await rm(stampFile, { force: true })
  const builds = deployables.map(name =>
    runCommand(process.execPath, ['build.ts'], {
      cwd: join(root, name),
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
      deadlineSeconds: 120,
      signal,
    }),
  )
  // The lock is held until none of them writes any more.
  await Promise.allSettled(builds)
  await Promise.all(builds)
  await writeFile(stampFile, wanted)
  return true
}
