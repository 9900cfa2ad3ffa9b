import type { Context } from '../context.ts'
import type { PreparedHandler } from '../http/handler.ts'
import { checkGraph } from './check-graph.ts'
import { parseManifest } from './check-manifest.ts'
import { checkWeights } from './check-weights.ts'
import { checkStoredFile, readStoredFile } from './stored-file.ts'
import { selectVersion, type VersionRow } from './version-row.ts'
import { selectVersionView } from './version-view.ts'

/** Reads what was uploaded, as hostile input, and makes the version usable. Finalising a ready version changes nothing. */
export const finaliseVersion = ({
  database,
  store,
  audit,
}: Pick<Context, 'database' | 'store' | 'audit'>): PreparedHandler<'finaliseVersion', void> => ({
  async prepare({ params, signal }) {
    const version = await database.read(sql => selectVersion(sql, params))
    if (version.state === 'uploading') await checkBundle(store, version, signal)
  },
  async apply({ params, actor }, sql) {
    const moved = await sql`
      update model_version set state = 'ready'
      where id = ${params.version} and model = ${params.model} and state = 'uploading'`
    const view = await selectVersionView(sql, params)
    if (moved.count === 1) {
      const subject = `version/${params.version}`
      audit.append(sql, { actor, action: 'version.finalised', subject, detail: { sha256: view.sha256 } })
    }
    return view
  },
})

const checkBundle = async (store: Context['store'], version: VersionRow, signal: AbortSignal): Promise<void> => {
  const { manifest_key, manifest_sha256, manifest_bytes, weights_key, weights_sha256, weights_bytes } = version
  const { graph_key, graph_sha256, graph_bytes } = version
  const manifestFile = { file: 'manifest', key: manifest_key, sha256: manifest_sha256, bytes: manifest_bytes }
  const weightsFile = { file: 'weights', key: weights_key, sha256: weights_sha256, bytes: weights_bytes }
  const manifest = parseManifest(await readStoredFile(store, manifestFile, signal))
  if (graph_key !== null && graph_sha256 !== null && graph_bytes !== null) {
    const graphFile = { file: 'graph', key: graph_key, sha256: graph_sha256, bytes: graph_bytes }
    checkGraph(await readStoredFile(store, graphFile, signal), manifest)
  }
  await checkStoredFile(store, weightsFile, signal)
  await checkWeights(store, weightsFile, manifest, signal)
}
