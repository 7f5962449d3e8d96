import { Controller, Get, StreamableFile } from '@nestjs/common';
import { ApiOkResponse, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Caller } from '../access/caller';
import { CurrentCaller } from '../access/current-caller.decorator';
import { RequirePermission } from '../access/require-permission.decorator';
import { buildNotFound } from '../build-logs/build-not-found';
import { BuildsRepository } from '../builds/builds.repository';
import { ApiError } from '../http/api-error';
import { ErrorResponses } from '../http/error-responses.decorator';
import { UuidParam } from '../http/uuid-param';
import { ArtifactStore } from './artifact-store';

@ApiTags('Builds')
@Controller('builds')
export class BuildImageController {
  public constructor(
    private readonly builds: BuildsRepository,
    private readonly artifacts: ArtifactStore,
  ) {}

  @Get(':id/image')
  @RequirePermission('build:read', {
    operationId: 'getBuildImage',
    summary: 'Download the image as an OCI archive',
    description:
      'For a successful build of a project without an `image_repository`. Try `skopeo inspect oci-archive:image.tar`. ' +
      'An archive is removed after as many days as the operator keeps them; the build stays.',
  })
  @ApiParam({ name: 'id', description: 'Build ID (UUID)', schema: { type: 'string', format: 'uuid' } })
  @ApiOkResponse({
    description: 'OCI archive',
    content: { 'application/x-tar': { schema: { type: 'string', format: 'binary' } } },
  })
  @ErrorResponses(400, [404, 'No such build, or it has no archive, or none any more', 'Build not found'])
  public async download(@CurrentCaller() { tenantId }: Caller, @UuidParam('id') id: string): Promise<StreamableFile> {
    const build = await this.builds.find(tenantId, id);
    if (build === null) throw buildNotFound();
    const { archiveKeptDays: days } = build;
    if (days !== null)
      throw new ApiError(404, `The image archive was removed after ${days} ${days === 1 ? 'day' : 'days'}`);
    const artifact = build.imageArchive === null ? null : await this.artifacts.open(build.imageArchive);
    if (artifact === null) throw new ApiError(404, 'This build has no image archive');
    return new StreamableFile(artifact.stream, {
      type: 'application/x-tar',
      length: artifact.bytes,
      disposition: `attachment; filename="build-${build.buildNumber}.tar"`,
    });
  }
}
