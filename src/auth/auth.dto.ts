import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { IsString, Length } from 'class-validator';
import { exampleUser, UserDto } from '../users/user.dto';

const exampleRefreshToken = 'Zk3kQm0v1TnTKZ2Qz8d0sCwXJ9b6mH4yq1uEo7rWc5A';

@ApiSchema({ name: 'LoginRequest' })
export class LoginDto {
  @ApiProperty({ format: 'email', minLength: 1, maxLength: 254, example: 'ada@example.com' })
  @IsString({ message: 'must be a string' })
  @Length(1, 254, { message: 'must have 1 to 254 characters' })
  public email!: string;

  @ApiProperty({ format: 'password', minLength: 1, maxLength: 256, example: 'correct horse battery staple' })
  @IsString({ message: 'must be a string' })
  @Length(1, 256, { message: 'must have 1 to 256 characters' })
  public password!: string;
}

@ApiSchema({ name: 'RefreshRequest' })
export class RefreshDto {
  @ApiProperty({
    minLength: 1,
    maxLength: 256,
    description: 'The refresh token of the last sign-in or refresh',
    example: exampleRefreshToken,
  })
  @IsString({ message: 'must be a string' })
  @Length(1, 256, { message: 'must have 1 to 256 characters' })
  public refresh_token!: string;
}

@ApiSchema({ name: 'TokenPair' })
export class TokenPairDto {
  @ApiProperty({ description: 'JWT; send it as `Authorization: Bearer <token>`' })
  public access_token!: string;

  @ApiProperty({ enum: ['Bearer'] })
  public token_type!: 'Bearer';

  @ApiProperty({ type: 'integer', description: 'Seconds until the access token ends', example: 900 })
  public expires_in!: number;

  @ApiProperty({ description: 'For one use at /auth/refresh; using it twice revokes all that came from this sign-in' })
  public refresh_token!: string;

  @ApiProperty({ type: UserDto })
  public user!: UserDto;
}

/** What a document shows of a sign-in. */
export const exampleTokenPair: TokenPairDto = {
  access_token: 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI3NzBlODQwMCJ9.c2lnbmF0dXJl',
  token_type: 'Bearer',
  expires_in: 900,
  refresh_token: exampleRefreshToken,
  user: exampleUser,
};
