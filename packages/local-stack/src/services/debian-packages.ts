import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { CommandError, runCommand } from '../processes/run-command.ts'
import { lockCache } from '../settings/cache-lock.ts'
import { findOnPath } from './find-on-path.ts'
import type { ServiceContext } from './service-context.ts'

export interface DebianRecipe {
  /** For people: `RabbitMQ`. */
  readonly service: string
  /** Names the folder in the cache; raise the number in it when the recipe changes. */
  readonly name: string
  readonly install: readonly string[]
  /** Which of the packages of a complete installation are unpacked: not libc and what only packages' scripts need. */
  readonly keep: RegExp
  /** Adapts the unpacked files in `unpacked`, which will later be found at `root`. */
  readonly adapt?: (unpacked: string, root: string) => Promise<void>
}

const aptDeadlineSeconds = 120
const listsFreshMs = 60 * 60 * 1000

/** True on Debian, Ubuntu and their kin. */
export async function hasDebianPackages(context: ServiceContext): Promise<boolean> {
  const { path } = context.environment
  return Boolean((await findOnPath('apt-get', path)) && (await findOnPath('dpkg', path)))
}

/** The recipe's folder in the cache if it was unpacked before; needs no network. */
export async function unpackedBefore(recipe: DebianRecipe, context: ServiceContext): Promise<string | undefined> {
  const root = await rootOf(recipe, context)
  return (await stat(root).catch(() => undefined)) ? root : undefined
}

/**
 * Unpacks Debian packages into the cache without root, once per distribution and recipe; the download's size is reported.
 *
 * @returns the folder that stands for `/`.
 * @throws CommandError with apt's last words.
 */
export async function unpackDebianPackages(recipe: DebianRecipe, context: ServiceContext): Promise<string> {
  const root = await rootOf(recipe, context)
  await mkdir(join(root, '..'), { recursive: true })
  await using _lock = await lockCache(`${root}.lock`, 300, context.signal)
  if (await stat(root).catch(() => undefined)) return root
  await removeLeftovers(root)
  const temporary = `${root}.${randomUUID()}.partial`
  await mkdir(join(temporary, 'packages'), { recursive: true })
  try {
    await download(recipe, join(temporary, 'packages'), join(root, '..', 'apt'), context)
    const unpacked = join(temporary, 'root')
    await mkdir(unpacked)
    await unpackAll(join(temporary, 'packages'), unpacked, context)
    await recipe.adapt?.(unpacked, root)
    await rename(unpacked, root)
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  return root
}

/** What a start left that was killed while it unpacked; the lock is held, so nobody else does. */
async function removeLeftovers(root: string): Promise<void> {
  const folder = dirname(root)
  const left = (await readdir(folder)).filter(
    name => name.startsWith(`${basename(root)}.`) && name.endsWith('.partial'),
  )
  for (const name of left) await rm(join(folder, name), { recursive: true, force: true })
}

/** Two at a time: xz keeps one core busy. */
async function unpackAll(packages: string, unpacked: string, context: ServiceContext): Promise<void> {
  const files = (await readdir(packages)).filter(name => name.endsWith('.deb'))
  const worker = async () => {
    for (let file = files.pop(); file !== undefined; file = files.pop()) {
      await runCommand('dpkg', ['-x', join(packages, file), unpacked], commandOptions(context))
    }
  }
  await Promise.all([worker(), worker()])
}

async function rootOf(recipe: DebianRecipe, { folders }: ServiceContext): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const value = (key: string) => new RegExp(`^${key}="?([A-Za-z0-9._-]+)"?$`, 'm').exec(release)?.[1] ?? 'unknown'
  return join(folders.cache, `${value('ID')}-${value('VERSION_ID')}-${process.arch}`, recipe.name)
}

function commandOptions({ environment, signal, watchdog }: ServiceContext) {
  return {
    env: { PATH: environment.path, LC_ALL: 'C' },
    cwd: '/',
    deadlineSeconds: aptDeadlineSeconds,
    signal,
    watchdog,
  }
}

async function download(recipe: DebianRecipe, packages: string, apt: string, context: ServiceContext): Promise<void> {
  const options = await aptOptions(apt)
  const aptGet = (args: string[]) =>
    runCommand('apt-get', [...options, ...args], { ...commandOptions(context), cwd: packages })
  const updateFault = await updateLists(apt, aptGet, context.signal)
  let names: string[]
  try {
    // Against an empty dpkg status, so that the answer does not depend on what is installed here.
    const plan = await aptGet(['--simulate', 'install', ...recipe.install])
    names = [...plan.matchAll(/^Inst (\S+) /gm)].flatMap(([, name]) => (name && recipe.keep.test(name) ? [name] : []))
  } catch (error) {
    throw updateFault ?? error
  }
  const uris = await aptGet(['--print-uris', 'download', ...names])
  const bytes = [...uris.matchAll(/^'\S+' \S+ (\d+)/gm)].reduce((sum, [, size]) => sum + Number(size), 0)
  context.report({
    kind: 'download',
    service: recipe.service,
    bytes,
    what: `${names.length} Debian packages for ${recipe.install.join(', ')}`,
  })
  await aptGet(['download', ...names])
}

/** Own folders for everything that apt writes, and nothing downloaded that is not needed. */
async function aptOptions(apt: string): Promise<string[]> {
  await mkdir(join(apt, 'lists', 'partial'), { recursive: true })
  await mkdir(join(apt, 'cache', 'archives', 'partial'), { recursive: true })
  await writeFile(join(apt, 'status'), '')
  const settings = {
    'Dir::State': apt,
    'Dir::State::lists': join(apt, 'lists'),
    'Dir::State::status': join(apt, 'status'),
    'Dir::Cache': join(apt, 'cache'),
    'Dir::Log': apt,
    'Debug::NoLocking': 'true',
    // The sandbox user of apt cannot write into our folders.
    'APT::Sandbox::User': 'root',
    'APT::Install-Recommends': 'false',
    'Acquire::Languages': 'none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
    'Acquire::IndexTargets::deb::CNF::DefaultEnabled': 'false',
    'Acquire::http::Timeout': '15',
    'Acquire::https::Timeout': '15',
    'Acquire::Retries': '2',
  }
  return Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
}

/** An unreachable third-party source is no reason to give up; the fault is told only when the packages are not found. */
async function updateLists(
  apt: string,
  aptGet: (args: string[]) => Promise<string>,
  signal: AbortSignal,
): Promise<CommandError | undefined> {
  await using _lock = await lockCache(join(apt, 'lock'), 150, signal)
  const stamp = join(apt, 'updated')
  const updated = await stat(stamp).catch(() => undefined)
  if (updated && Date.now() - updated.mtimeMs < listsFreshMs) return undefined
  try {
    await aptGet(['update'])
    await writeFile(stamp, '')
    await utimes(stamp, new Date(), new Date())
    return undefined
  } catch (error) {
    if (error instanceof CommandError) return error
    throw error
  }
}
