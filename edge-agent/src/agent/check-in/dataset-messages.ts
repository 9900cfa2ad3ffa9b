import type { MessageInitShape } from '@bufbuild/protobuf'
import type { DatasetDescription } from '@tributary/contracts/dataset-description'
import type {
  DatasetDescriptionSchema,
  DatasetDescriptionsSchema,
  DatasetInfoSchema,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { ToldData } from '../../data/told-data.ts'

type Messages = {
  readonly datasets: MessageInitShape<typeof DatasetInfoSchema>[]
  readonly descriptionsDigest: string
  readonly descriptions?: MessageInitShape<typeof DatasetDescriptionsSchema>
}

/** What is told of data as it goes on the wire. @param describe whether the node asked for the descriptions */
export const datasetMessages = ({ datasets, descriptions, digest }: ToldData, describe: boolean): Messages => ({
  datasets: datasets.map(({ name, heldOut, examples }) => ({ name, heldOut, examples: BigInt(examples) })),
  descriptionsDigest: digest,
  ...(describe ? { descriptions: { digest, datasets: descriptions.map(messageOf) } } : {}),
})

const messageOf = ({
  name,
  schema,
  labelCounts = [],
}: DatasetDescription): MessageInitShape<typeof DatasetDescriptionSchema> => ({
  name,
  labelCounts: labelCounts.map(BigInt),
  ...(schema === undefined
    ? {}
    : {
        schema: {
          format: schema.format,
          shape: schema.shape.map(BigInt),
          dtype: schema.dtype,
          columns: schema.columns ?? [],
          labelKind: schema.label.kind,
          labels: schema.label.size,
          classes: schema.label.classes ?? 0,
          classNames: schema.label.classNames ?? [],
        },
      }),
})
