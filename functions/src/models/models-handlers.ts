import type { Context } from '../context.ts'
import type { Handlers } from '../http/handler.ts'
import { deleteAlias } from './aliases/delete-alias.ts'
import { getAlias } from './aliases/get-alias.ts'
import { listAliasHistory } from './aliases/list-alias-history.ts'
import { listAliases } from './aliases/list-aliases.ts'
import { rollBackAlias } from './aliases/roll-back-alias.ts'
import { setAlias } from './aliases/set-alias.ts'
import { compareVersions } from './compare-versions.ts'
import { createModel } from './create-model.ts'
import { createStatistics } from './create-statistics.ts'
import { createVersion } from './create-version.ts'
import { deleteVersion } from './delete-version.ts'
import { downloadVersion } from './download-version.ts'
import { finaliseVersion } from './finalise-version.ts'
import { getLineage } from './get-lineage.ts'
import { getModel } from './get-model.ts'
import { getVersion } from './get-version.ts'
import { getVersionUploads } from './get-version-uploads.ts'
import { listModels } from './list-models.ts'
import { listVersions } from './list-versions.ts'
import { updateModel } from './update-model.ts'
import { updateVersion } from './update-version.ts'

export const modelsHandlers = (
  context: Pick<Context, 'database' | 'store' | 'audit' | 'ids' | 'clock' | 'startVersionJob'>,
): Handlers<'models'> => ({
  createModel: createModel(context),
  listModels: listModels(context),
  getModel: getModel(context),
  updateModel: updateModel(context),
  createVersion: createVersion(context),
  createStatistics: createStatistics(context),
  getVersionUploads: getVersionUploads(context),
  finaliseVersion: finaliseVersion(context),
  listVersions: listVersions(context),
  getVersion: getVersion(context),
  updateVersion: updateVersion(context),
  deleteVersion: deleteVersion(context),
  getLineage: getLineage(context),
  compareVersions: compareVersions(context),
  downloadVersion: downloadVersion(context),
  listAliases: listAliases(context),
  getAlias: getAlias(context),
  setAlias: setAlias(context),
  rollBackAlias: rollBackAlias(context),
  deleteAlias: deleteAlias(context),
  listAliasHistory: listAliasHistory(context),
})
